/**
 * Engine arguments as schedulers read them.
 *
 * @module
 */
import type { TimingConfig } from "./timing.ts";

/** Which engine's scheduling is imitated. */
export type Backend = "vllm" | "sglang" | "trtllm";
/** A worker's part in serving. */
export type WorkerRole = "aggregated" | "prefill" | "decode";

/** Settings of SGLang's scheduler. */
export interface SglangArgs {
  readonly schedule_policy: "fifo" | "lpm";
  readonly max_prefill_tokens: number;
  readonly chunked_prefill_size: number;
  readonly clip_max_new_tokens: number;
  readonly schedule_conservativeness: number;
}

/** Settings of the host tier. */
export interface HostOffloadArgs {
  readonly num_host_blocks: number;
  readonly d2h_bandwidth_gbps: number;
  readonly h2d_bandwidth_gbps: number;
}

/** The `engine` object of normalised engine arguments. */
export interface EngineArgs {
  readonly backend: Backend;
  readonly num_gpu_blocks: number;
  readonly block_size: number;
  readonly max_model_len: number | null;
  readonly max_num_seqs: number | null;
  readonly max_num_batched_tokens: number | null;
  readonly prefill_schedule_interval: number;
  readonly prefill_decode_interval: number;
  readonly enable_prefix_caching: boolean;
  readonly enable_chunked_prefill: boolean;
  readonly speedup_ratio: number;
  readonly decode_speedup_ratio: number;
  readonly aic_nextn: number | null;
  readonly aic_nextn_accept_rates: string | null;
  readonly aic_mtp_seed: number;
  readonly worker_type: WorkerRole;
  readonly preemption_mode: "lifo" | "fifo";
  readonly emit_kv_events: boolean;
  readonly emit_kv_token_ids: boolean;
  readonly kv_transfer_bytes_per_token: number | null;
  readonly kv_cache_bytes_per_token?: number;
  readonly native_host_offload?: HostOffloadArgs;
  readonly kv_transfer_bandwidth: number | null;
  readonly kv_transfer_timing_mode: "full_prompt" | "destination_missing";
  readonly timing_model: TimingConfig;
  readonly sglang: SglangArgs;
  readonly trtllm: { readonly capacity_scheduler_policy: "guaranteed_no_evict" };
}
