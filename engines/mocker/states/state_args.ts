/**
 * Engine arguments of models with a recurrent state.
 *
 * @source aisimulate-core 0.13.0, `config.rs`, `StateCacheConfig`, `validate_state_cache`: names and rules
 * @module
 */
import type { EngineArgs, StateCacheArgs } from "../args.ts";
import { count, readFields } from "../json_fields.ts";
import { check } from "../rules.ts";

const STATE = "state_cache";
const UNIT = "prefix_match_unit";
const SMALLEST_BLOCK = 2;
const LARGEST = 2n ** 64n;

/** Reads `state_cache`; none if there is none. @throws {TypeError} If a field is wrong or missing. */
export function stateCacheArgs(value: unknown): StateCacheArgs | undefined {
  if (value === undefined || value === null) return undefined;
  const { bytes_per_request } = readFields(value, `engine.${STATE}`, { bytes_per_request: count });
  if (bytes_per_request === undefined) throw new TypeError(`engine.${STATE}: missing field \`bytes_per_request\``);
  return { bytes_per_request };
}

/** Blocks that a state fills. */
export function blocksPerState(state: StateCacheArgs, blockSize: number, bytesPerToken: number): number {
  return Math.ceil(state.bytes_per_request / (blockSize * bytesPerToken));
}

/** Checks both against everything else. @throws {RangeError} If a rule is broken. */
export function checkStates(args: EngineArgs): void {
  const { state_cache: state, prefix_match_unit: unit } = args;
  if (unit !== undefined) {
    check(unit > 0 && args.block_size % unit === 0, `${UNIT} must be a positive divisor of block_size`);
    check(state !== undefined, `${UNIT} currently requires ${STATE}`);
    checkUnitEvents(args);
  }
  if (state !== undefined) checkState(args, state);
}

/** Checks that nobody wants events of a cache that is found by parts of blocks. @throws {RangeError} If somebody does. */
export function checkUnitEvents({ prefix_match_unit: unit, emit_kv_events: emits }: EngineArgs): void {
  check(unit === undefined || !emits, `${UNIT} does not yet support KV event export`);
}

function checkState(args: EngineArgs, state: StateCacheArgs): void {
  const { kv_transfer_bytes_per_token: transferBytes, kv_transfer_bandwidth: bandwidth, block_size: size } = args;
  check(args.backend === "vllm", `${STATE} is supported only for backend=vllm`);
  check(args.worker_type === "aggregated", `${STATE} is supported only for worker_type=aggregated`);
  for (const tier of ["native_host_offload", "g3_offload"] as const) {
    check(args[tier] === undefined, `${STATE} does not support ${tier} in the G1-only implementation`);
  }
  const transfers = (transferBytes ?? bandwidth) !== null;
  check(!transfers, `${STATE} does not support kv_transfer_bytes_per_token or kv_transfer_bandwidth`);
  const isDefault = args.kv_transfer_timing_mode === "full_prompt";
  check(isDefault, `${STATE} does not support non-default kv_transfer_timing_mode`);
  const drafts = args.prefix_match_unit !== undefined && args.aic_nextn !== null;
  check(!drafts, `${UNIT} does not support speculative decoding`);
  const bytes = args.kv_cache_bytes_per_token;
  if (bytes === undefined) throw new RangeError(`${STATE} requires kv_cache_bytes_per_token`);
  check(state.bytes_per_request > 0, `${STATE}.bytes_per_request must be positive`);
  check(size >= SMALLEST_BLOCK, `${STATE} requires block_size at least two`);
  check(bytes > 0, `${STATE} requires positive kv_cache_bytes_per_token`);
  check(BigInt(size) * BigInt(bytes) < LARGEST, "KV block byte size overflowed");
  const fits = args.num_gpu_blocks >= blocksPerState(state, size, bytes) + 1;
  check(fits, `${STATE} capacity must fit one token block and one working state`);
}
