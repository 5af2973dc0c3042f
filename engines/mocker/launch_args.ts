/**
 * Engine arguments as a JSON file gives them.
 *
 * @source dynamo-mocker 1.6.1, `config.rs`; aisimulate-core 0.13.0, `launch.rs`, `config.rs`: names, defaults, rules
 * @module
 */
import type { Backend, EngineArgs, SglangArgs } from "./args.ts";
import { type DynamoArgs, dynamoArgs } from "./dynamo_args.ts";
import { cacheGroupArgs, checkGroups } from "./group_args.ts";
import { anything, boolean, count, number, oneOf, orNull, readFields, text } from "./json_fields.ts";
import { check, isDuration } from "./rules.ts";
import { acceptRates } from "./speculation.ts";
import { checkStates, checkUnitEvents, stateCacheArgs } from "./states/state_args.ts";
import { checkTiers, diskOffloadArgs, hostOffloadArgs } from "./tiers/tier_args.ts";
import type { TimingConfig } from "./timing.ts";

/** Engine arguments with all defaults filled in; as JSON they are what the peer prints. */
export interface LaunchArgs {
  /** What schedulers read. */
  readonly engine: EngineArgs;
  /** Ranks of a worker. */
  readonly dp_size: number;
  /** GPUs of a rank. */
  readonly tensor_parallel_size: number;
  /** Pause before the engine starts. @unit seconds */
  readonly startup_time: number | null;
  /** Whether the number of blocks was given. */
  readonly num_gpu_blocks_is_explicit: boolean;
  /** For estimates of capacity. */
  readonly gpu_memory_utilization: number | null;
  /** For estimates of capacity. */
  readonly mem_fraction_static: number | null;
  /** For estimates of capacity. */
  readonly free_gpu_memory_fraction: number | null;
  /** For estimates of capacity. @unit bytes */
  readonly cuda_graph_reserved_bytes: number | null;
  /** What only Dynamo's part reads. */
  readonly dynamo: DynamoArgs;
}

const BLOCK_SIZES: Record<Backend, number> = { vllm: 64, sglang: 1, trtllm: 32 };
const SMALLEST_BLOCK = 2;

const LAUNCH = {
  engine: anything,
  dp_size: count,
  tensor_parallel_size: count,
  startup_time: orNull(number),
  num_gpu_blocks_is_explicit: boolean,
  gpu_memory_utilization: orNull(number),
  mem_fraction_static: orNull(number),
  free_gpu_memory_fraction: orNull(number),
  cuda_graph_reserved_bytes: orNull(count),
  dynamo: anything,
};

const ENGINE = {
  backend: oneOf("vllm", "sglang", "trtllm"),
  num_gpu_blocks: count,
  block_size: count,
  max_model_len: orNull(count),
  max_num_seqs: orNull(count),
  max_num_batched_tokens: orNull(count),
  prefill_schedule_interval: count,
  prefill_decode_interval: count,
  enable_prefix_caching: boolean,
  enable_chunked_prefill: boolean,
  speedup_ratio: number,
  decode_speedup_ratio: number,
  aic_nextn: orNull(count),
  aic_nextn_accept_rates: orNull(text),
  aic_mtp_seed: count,
  worker_type: oneOf("aggregated", "prefill", "decode"),
  preemption_mode: oneOf("lifo", "fifo"),
  emit_kv_events: boolean,
  emit_kv_token_ids: boolean,
  kv_bytes_per_token: orNull(count),
  kv_transfer_bytes_per_token: orNull(count),
  kv_cache_bytes_per_token: count,
  kv_cache_groups: anything,
  kv_cache_capacity_bytes: orNull(count),
  native_host_offload: anything,
  state_cache: anything,
  prefix_match_unit: orNull(count),
  g3_offload: anything,
  kv_transfer_bandwidth: orNull(number),
  kv_transfer_timing_mode: oneOf("full_prompt", "destination_missing"),
  timing_model: anything,
  sglang: anything,
  trtllm: anything,
};

const SGLANG = {
  schedule_policy: oneOf("fifo", "lpm"),
  max_prefill_tokens: count,
  chunked_prefill_size: count,
  clip_max_new_tokens: count,
  schedule_conservativeness: number,
};

/**
 * Reads engine arguments and fills in the defaults.
 *
 * @throws {TypeError} If a field is unknown or of the wrong type; the message names it.
 * @throws {RangeError} If a value is out of range, contradicts another, or asks for what is not modelled.
 */
export function parseLaunchArgs(value: unknown): LaunchArgs {
  const given = readFields(value, "", LAUNCH);
  const engineFields = readFields(given.engine ?? {}, "engine", ENGINE);
  const args: LaunchArgs = {
    engine: engineArgs(engineFields),
    dp_size: given.dp_size ?? 1,
    tensor_parallel_size: given.tensor_parallel_size ?? 1,
    startup_time: given.startup_time ?? null,
    num_gpu_blocks_is_explicit: given.num_gpu_blocks_is_explicit ?? engineFields.num_gpu_blocks !== undefined,
    gpu_memory_utilization: given.gpu_memory_utilization ?? null,
    mem_fraction_static: given.mem_fraction_static ?? null,
    free_gpu_memory_fraction: given.free_gpu_memory_fraction ?? null,
    cuda_graph_reserved_bytes: given.cuda_graph_reserved_bytes ?? null,
    dynamo: dynamoArgs(given.dynamo ?? {}),
  };
  check(args.dp_size > 0, "dp_size must be positive");
  check(args.engine.g3_offload === undefined || args.dp_size === 1, "g3_offload supports only dp_size=1");
  check(args.tensor_parallel_size > 0, "tensor_parallel_size must be positive");
  check(isDuration(args.startup_time ?? 0), "startup_time must be finite and non-negative");
  for (const name of ["gpu_memory_utilization", "mem_fraction_static", "free_gpu_memory_fraction"] as const) {
    const fraction = args[name] ?? 0;
    check(fraction >= 0 && fraction <= 1, `${name} must be finite and in [0, 1]`);
  }
  return args;
}

/** Arguments for the ranks of a worker, with what follows from its part. @throws {RangeError} If they exclude events. */
export function rankArgs({ engine, dp_size }: LaunchArgs, emitsKvEvents: boolean): EngineArgs {
  const args = { ...engine, emit_kv_events: emitsKvEvents };
  checkUnitEvents(args);
  if (engine.backend !== "sglang" || dp_size === 1) return args;
  const perRank = Math.floor(engine.sglang.chunked_prefill_size / dp_size);
  check(perRank > 0, `dp_size ${dp_size} reduces sglang.chunked_prefill_size to zero`);
  const conservativeness = engine.sglang.schedule_conservativeness * 0.3;
  return {
    ...args,
    sglang: { ...engine.sglang, chunked_prefill_size: perRank, schedule_conservativeness: conservativeness },
  };
}

type EngineFields = ReturnType<typeof readFields<typeof ENGINE>>;

function engineArgs(given: EngineFields): EngineArgs {
  const backend = given.backend ?? "vllm";
  const bytes = given.kv_transfer_bytes_per_token;
  check(bytes === undefined || given.kv_bytes_per_token === undefined, "duplicate field `kv_transfer_bytes_per_token`");
  const offload = hostOffloadArgs(given.native_host_offload);
  const groups = cacheGroupArgs(given.kv_cache_groups);
  const capacity = given.kv_cache_capacity_bytes ?? undefined;
  const disk = diskOffloadArgs(given.g3_offload);
  const state = stateCacheArgs(given.state_cache);
  const unit = given.prefix_match_unit ?? undefined;
  const isSized = [given.num_gpu_blocks, given.block_size, given.kv_cache_bytes_per_token].every(isGiven);
  const explicit = "state_cache requires explicit num_gpu_blocks, block_size and kv_cache_bytes_per_token";
  check(state === undefined || isSized, explicit);
  const args: EngineArgs = {
    backend,
    num_gpu_blocks: given.num_gpu_blocks ?? 16384,
    block_size: given.block_size ?? BLOCK_SIZES[backend],
    max_model_len: given.max_model_len ?? null,
    max_num_seqs: given.max_num_seqs === undefined ? 256 : given.max_num_seqs,
    max_num_batched_tokens: given.max_num_batched_tokens === undefined ? 8192 : given.max_num_batched_tokens,
    prefill_schedule_interval: given.prefill_schedule_interval ?? 1,
    prefill_decode_interval: given.prefill_decode_interval ?? 0,
    enable_prefix_caching: given.enable_prefix_caching ?? true,
    enable_chunked_prefill: given.enable_chunked_prefill ?? true,
    speedup_ratio: given.speedup_ratio ?? 1,
    decode_speedup_ratio: given.decode_speedup_ratio ?? 1,
    aic_nextn: given.aic_nextn ?? null,
    aic_nextn_accept_rates: normalizedRates(given),
    aic_mtp_seed: given.aic_mtp_seed ?? 42,
    worker_type: given.worker_type ?? "aggregated",
    preemption_mode: given.preemption_mode ?? "lifo",
    emit_kv_events: given.emit_kv_events ?? false,
    emit_kv_token_ids: given.emit_kv_token_ids ?? false,
    kv_transfer_bytes_per_token: bytes ?? given.kv_bytes_per_token ?? null,
    ...(given.kv_cache_bytes_per_token === undefined
      ? {}
      : { kv_cache_bytes_per_token: given.kv_cache_bytes_per_token }),
    ...(groups === undefined ? {} : { kv_cache_groups: groups }),
    ...(capacity === undefined ? {} : { kv_cache_capacity_bytes: capacity }),
    ...(offload === undefined ? {} : { native_host_offload: offload }),
    ...(disk === undefined ? {} : { g3_offload: disk }),
    ...(state === undefined ? {} : { state_cache: state }),
    ...(unit === undefined ? {} : { prefix_match_unit: unit }),
    kv_transfer_bandwidth: given.kv_transfer_bandwidth ?? null,
    kv_transfer_timing_mode: given.kv_transfer_timing_mode ?? "full_prompt",
    timing_model: timingConfig(given.timing_model ?? { type: "polynomial" }),
    sglang: sglangArgs(given.sglang ?? {}),
    trtllm: {
      capacity_scheduler_policy: readFields(given.trtllm ?? {}, "engine.trtllm", {
        capacity_scheduler_policy: oneOf("guaranteed_no_evict"),
      }).capacity_scheduler_policy ?? "guaranteed_no_evict",
    },
  };
  checkEngine(args);
  return args;
}

function isGiven(value: unknown): boolean {
  return value !== undefined;
}

function checkEngine(args: EngineArgs): void {
  const { backend, sglang } = args;
  checkStates(args);
  const positive = ["num_gpu_blocks", "max_model_len", "max_num_seqs", "max_num_batched_tokens"] as const;
  for (const name of [...positive, "prefill_schedule_interval"] as const) {
    check(args[name] !== 0, `${name} must be positive`);
  }
  for (const name of ["max_prefill_tokens", "chunked_prefill_size", "clip_max_new_tokens"] as const) {
    check(sglang[name] > 0, `sglang.${name} must be positive`);
  }
  check(
    isDuration(sglang.schedule_conservativeness),
    "sglang.schedule_conservativeness must be finite and non-negative",
  );
  check(backend === "sglang" ? args.block_size > 0 : args.block_size >= SMALLEST_BLOCK, blockSizeRule(backend));
  for (const name of ["speedup_ratio", "decode_speedup_ratio"] as const) {
    check(isDuration(args[name]), `${name} must be finite and non-negative`);
  }
  check(args.kv_cache_bytes_per_token !== 0, "kv_cache_bytes_per_token must be positive");
  checkGroups(args);
  checkTiers(args);
  check(isDuration(args.kv_transfer_bandwidth ?? 0), "kv_transfer_bandwidth must be finite and non-negative");
  if (args.aic_nextn !== null) {
    const reason = "because MTP output acceleration is modeled by burst sampling";
    check(args.decode_speedup_ratio === 1, `aic_nextn requires decode_speedup_ratio=1.0 ${reason}`);
  }
  if (backend !== "sglang") {
    check(args.prefill_decode_interval === 0, "prefill_decode_interval is supported only for backend=sglang");
    return;
  }
  check(args.prefill_schedule_interval === 1, "prefill_schedule_interval is supported only for backend=vllm");
  check(args.enable_chunked_prefill, "enable_chunked_prefill=false is not supported for backend=sglang");
  const isDivisible = sglang.chunked_prefill_size % args.block_size === 0;
  check(isDivisible, "sglang.chunked_prefill_size must be divisible by block_size");
}

function blockSizeRule(backend: Backend): string {
  return backend === "sglang" ? "block_size must be positive" : "vLLM/TRT-LLM block_size must be at least two";
}

function sglangArgs(value: unknown): SglangArgs {
  const given = readFields(value, "engine.sglang", SGLANG);
  return {
    schedule_policy: given.schedule_policy ?? "fifo",
    max_prefill_tokens: given.max_prefill_tokens ?? 16384,
    chunked_prefill_size: given.chunked_prefill_size ?? 8192,
    clip_max_new_tokens: given.clip_max_new_tokens ?? 4096,
    schedule_conservativeness: given.schedule_conservativeness ?? 1,
  };
}

function timingConfig(value: unknown): TimingConfig {
  const path = "engine.timing_model";
  const table = { type: oneOf("polynomial", "fixed", "external"), prefill_ms: number, decode_ms: number };
  const given = readFields(value, path, { ...table, provider: text, config: anything });
  if (given.type === undefined) throw new TypeError(`${path}: missing field \`type\``);
  if (given.type === "polynomial") return { type: "polynomial" };
  if (given.type === "external") return externalTiming(given.provider, given.config, path);
  const { prefill_ms, decode_ms } = given;
  if (prefill_ms === undefined) throw new TypeError(`${path}: missing field \`prefill_ms\``);
  if (decode_ms === undefined) throw new TypeError(`${path}: missing field \`decode_ms\``);
  check(isDuration(prefill_ms), "fixed prefill latency must be finite and non-negative");
  check(isDuration(decode_ms), "fixed decode latency must be finite and non-negative");
  return { type: "fixed", prefill_ms, decode_ms };
}

function externalTiming(provider: string | undefined, config: unknown, path: string): TimingConfig {
  if (provider === undefined) throw new TypeError(`${path}: missing field \`provider\``);
  check(provider === "dynamo_profile", `unsupported external timing provider "${provider}"`);
  const file = readFields(config, `${path}.config`, { path: text }).path;
  if (file === undefined) throw new TypeError(`${path}.config: missing field \`path\``);
  return { type: "external", provider, config: { path: file } };
}

/** The rates as the peer prints them: one for each draft. */
function normalizedRates({ aic_nextn: drafts, aic_nextn_accept_rates: rates }: EngineFields): string | null {
  if (drafts === undefined || drafts === null) {
    check((rates ?? null) === null, "aic_nextn_accept_rates requires aic_nextn");
    return null;
  }
  return acceptRates(drafts, rates ?? null).join(",");
}
