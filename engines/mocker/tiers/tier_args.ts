/**
 * Engine arguments of the tiers below the blocks of the engine.
 *
 * @source aisimulate-core 0.13.0, `config.rs`, `NativeHostOffloadConfig`, `G3OffloadConfig`: names, defaults, rules
 * @module
 */
import type { DiskOffloadArgs, EngineArgs, HostOffloadArgs } from "../args.ts";
import { count, number, oneOf, orNull, readFields, text } from "../json_fields.ts";
import { check, isDuration } from "../rules.ts";

const HOST = "native_host_offload";
const DISK = "g3_offload";
const BANDWIDTH = 32;
const SHARED_BANDWIDTH = 80;
const BYTES_PER_GIGABYTE_MS = 1e6;

const HOST_FIELDS = {
  scope: oneOf("dp_rank_local", "cluster_shared"),
  num_host_blocks: count,
  d2h_bandwidth_gbps: number,
  h2d_bandwidth_gbps: number,
  shared_d2h_bandwidth_gbps: number,
  shared_h2d_bandwidth_gbps: number,
  latency_to_first_byte_ms: number,
  kv_layout_id: orNull(text),
};

const DISK_FIELDS = {
  scope: oneOf("worker_local", "cluster_shared"),
  num_g3_blocks: count,
  latency_to_first_byte_ms: number,
  read_bandwidth_gbps: number,
  write_bandwidth_gbps: number,
  shared_read_bandwidth_gbps: number,
  shared_write_bandwidth_gbps: number,
};

/** Reads `native_host_offload`; what is the default is left out again. @throws {TypeError} If a field is wrong. */
export function hostOffloadArgs(value: unknown): HostOffloadArgs | undefined {
  if (value === undefined || value === null) return undefined;
  const given = readFields(value, `engine.${HOST}`, HOST_FIELDS);
  if (given.num_host_blocks === undefined) throw missing(HOST, "num_host_blocks");
  const { shared_d2h_bandwidth_gbps: d2h, shared_h2d_bandwidth_gbps: h2d, latency_to_first_byte_ms: latency } = given;
  const { kv_layout_id: layout } = given;
  return {
    ...(given.scope === "cluster_shared" ? { scope: given.scope } : {}),
    num_host_blocks: given.num_host_blocks,
    d2h_bandwidth_gbps: given.d2h_bandwidth_gbps ?? BANDWIDTH,
    h2d_bandwidth_gbps: given.h2d_bandwidth_gbps ?? BANDWIDTH,
    ...(d2h === undefined || d2h === SHARED_BANDWIDTH ? {} : { shared_d2h_bandwidth_gbps: d2h }),
    ...(h2d === undefined || h2d === SHARED_BANDWIDTH ? {} : { shared_h2d_bandwidth_gbps: h2d }),
    ...(latency === undefined || latency === 0 ? {} : { latency_to_first_byte_ms: latency }),
    ...(layout === undefined || layout === null ? {} : { kv_layout_id: layout }),
  };
}

/** Reads `g3_offload`. @throws {TypeError} If a field is wrong. */
export function diskOffloadArgs(value: unknown): DiskOffloadArgs | undefined {
  if (value === undefined || value === null) return undefined;
  const given = readFields(value, `engine.${DISK}`, DISK_FIELDS);
  if (given.scope === undefined) throw missing(DISK, "scope");
  if (given.num_g3_blocks === undefined) throw missing(DISK, "num_g3_blocks");
  return {
    scope: given.scope,
    num_g3_blocks: given.num_g3_blocks,
    latency_to_first_byte_ms: given.latency_to_first_byte_ms ?? 0.1,
    read_bandwidth_gbps: given.read_bandwidth_gbps ?? 10,
    write_bandwidth_gbps: given.write_bandwidth_gbps ?? 10,
    shared_read_bandwidth_gbps: given.shared_read_bandwidth_gbps ?? SHARED_BANDWIDTH,
    shared_write_bandwidth_gbps: given.shared_write_bandwidth_gbps ?? SHARED_BANDWIDTH,
  };
}

/** Checks the tiers against everything else. @throws {RangeError} If a rule is broken. */
export function checkTiers(args: EngineArgs): void {
  const { native_host_offload: host, g3_offload: disk } = args;
  if (disk !== undefined) checkDisk(args, disk);
  if (host !== undefined) checkHost(args, host);
}

function checkDisk(
  { native_host_offload, worker_type }: EngineArgs,
  { scope: _scope, ...disk }: DiskOffloadArgs,
): void {
  const { num_g3_blocks, ...timing } = disk;
  check(num_g3_blocks > 0, `${DISK}.num_g3_blocks must be positive`);
  check(Object.values(timing).every(isDuration), `${DISK} timing must be finite and non-negative`);
  check(native_host_offload !== undefined, `${DISK} requires native_host_offload`);
  check(worker_type === "aggregated", `${DISK} is supported only for worker_type=aggregated`);
}

function checkHost(args: EngineArgs, host: HostOffloadArgs): void {
  const { scope, kv_layout_id: layout, num_host_blocks: blocks, ...timing } = host;
  check(blocks > 0, `${HOST}.num_host_blocks must be positive`);
  for (const [name, value] of Object.entries(timing)) {
    check(isDuration(value), `${HOST}.${name} must be finite and non-negative`);
  }
  const isNamed = scope === undefined || layout !== undefined && layout.trim() !== "";
  check(isNamed, `cluster_shared ${HOST} requires a nonempty kv_layout_id`);
  check(args.backend === "vllm", `${HOST} is supported only for backend=vllm`);
  check(args.enable_prefix_caching, `${HOST} requires enable_prefix_caching=true`);
  check(args.aic_nextn === null, `${HOST} does not support aic_nextn in the initial implementation`);
  const { kv_cache_bytes_per_token: bytes } = args;
  if (bytes === undefined) {
    throw new RangeError(`${HOST} requires kv_cache_bytes_per_token to derive the physical host block size`);
  }
  const { latency_to_first_byte_ms: _latency, ...bandwidths } = timing;
  for (const [name, gbps] of Object.entries(bandwidths)) {
    const slowest = gbps === 0 ? 0 : blocks * args.block_size * bytes / (gbps * BYTES_PER_GIGABYTE_MS);
    const isTimed = Number.isFinite(slowest) && Number.isFinite(gbps * BYTES_PER_GIGABYTE_MS);
    check(isTimed, `${HOST}.${name} produces an unrepresentable transfer duration`);
  }
}

function missing(object: string, field: string): TypeError {
  return new TypeError(`engine.${object}: missing field \`${field}\``);
}
