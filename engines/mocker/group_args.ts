/**
 * Engine arguments of a cache in groups.
 *
 * @source aisimulate-core 0.13.0, `config.rs`, `perfmodel/fpm/resources.rs`, `FpmCacheGroup`: names and rules
 * @module
 */
import type { CacheGroupArgs, EngineArgs } from "./args.ts";
import { count, oneOf, orNull, readFields, text } from "./json_fields.ts";
import { check } from "./rules.ts";

const MAX_BYTES = 2 ** 53;
const GROUPS = "kv_cache_groups";
const FIELDS = {
  name: text,
  kind: oneOf("attention", "convolution"),
  num_layers: count,
  block_size_tokens: count,
  page_size_bytes: count,
  sliding_window: orNull(count),
};

/** Reads the groups; none if there are none. @throws {TypeError} If a field is wrong or missing. */
export function cacheGroupArgs(value: unknown): readonly CacheGroupArgs[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw new TypeError(`engine.${GROUPS} must be an array`);
  const groups = value.map((group, place) => groupArgs(group, `engine.${GROUPS}[${place}]`));
  return groups.length === 0 ? undefined : groups;
}

function groupArgs(value: unknown, path: string): CacheGroupArgs {
  const given = readFields(value, path, FIELDS);
  const { name, kind, num_layers, block_size_tokens, page_size_bytes, sliding_window = null } = given;
  const required = { name, kind, num_layers, block_size_tokens, page_size_bytes };
  for (const [field, one] of Object.entries(required)) {
    if (one === undefined) throw new TypeError(`${path}: missing field \`${field}\``);
  }
  return { ...required, sliding_window } as CacheGroupArgs;
}

/** Checks the groups against everything else. @throws {RangeError} If a rule is broken. */
export function checkGroups(args: EngineArgs): void {
  const { kv_cache_groups: groups, kv_cache_capacity_bytes: capacity } = args;
  if (groups === undefined) return check(capacity === undefined, `kv_cache_capacity_bytes requires ${GROUPS}`);
  const isPlain = args.backend === "vllm" && args.worker_type === "aggregated";
  check(isPlain, `${GROUPS} currently require backend=vllm and worker_type=aggregated`);
  check(!args.enable_prefix_caching, `${GROUPS} currently require enable_prefix_caching=false`);
  const hasTiers = args.native_host_offload !== undefined || args.g3_offload !== undefined;
  check(!hasTiers, `${GROUPS} currently support only HBM without host or G3 offload`);
  check(args.aic_nextn === null, `${GROUPS} currently do not support speculative decoding`);
  const emits = args.emit_kv_events || args.emit_kv_token_ids;
  check(!emits, `${GROUPS} currently do not support KV event or token-ID emission`);
  const { kv_cache_bytes_per_token, kv_transfer_bytes_per_token, kv_transfer_bandwidth } = args;
  const isLinear = kv_cache_bytes_per_token !== undefined ||
    (kv_transfer_bytes_per_token ?? kv_transfer_bandwidth) !== null;
  check(!isLinear, `${GROUPS} cannot use linear cache or KV transfer byte geometry`);
  const fits = capacity !== undefined && capacity > 0 && capacity <= MAX_BYTES;
  check(fits, `${GROUPS} require positive kv_cache_capacity_bytes at most 2^53`);
  groups.forEach(checkGroup);
  check(new Set(groups.map(({ name }) => name)).size === groups.length, "duplicate KV cache group name");
}

function checkGroup({ name, kind, sliding_window, ...sizes }: CacheGroupArgs): void {
  const isSized = Object.values(sizes).every((size) => size > 0) && sizes.page_size_bytes <= MAX_BYTES;
  check(
    name.trim() !== "" && isSized && sliding_window !== 0,
    "cache group requires a name, positive layers/block/page/window, and page_size_bytes <= 2**53",
  );
  const isBounded = kind !== "convolution" || sliding_window !== null;
  check(isBounded, "convolution cache groups require a sliding_window");
}
