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
  /** Order of the queue: as it comes, or longest cached prefix first. */
  readonly schedule_policy: "fifo" | "lpm";
  /** Prompt tokens of one pass. @unit tokens */
  readonly max_prefill_tokens: number;
  /** Prompt tokens of one pass, parts of prompts included. @unit tokens */
  readonly chunked_prefill_size: number;
  /** Most output that room is kept for. @unit tokens */
  readonly clip_max_new_tokens: number;
  /** Scales the share of output that room is kept for. */
  readonly schedule_conservativeness: number;
}

/** Settings of the host tier. Those that may be left out are left out when they are the defaults. */
export interface HostOffloadArgs {
  /** Whether all ranks of a deployment have one tier together. @default "dp_rank_local" */
  readonly scope?: "cluster_shared";
  /** Blocks of the tier. */
  readonly num_host_blocks: number;
  /** Towards the host, of one rank; 0 takes no time. @unit gigabytes per second */
  readonly d2h_bandwidth_gbps: number;
  /** From the host, of one rank; 0 takes no time. @unit gigabytes per second */
  readonly h2d_bandwidth_gbps: number;
  /** Towards a shared tier, of all ranks together. @default 80 @unit gigabytes per second */
  readonly shared_d2h_bandwidth_gbps?: number;
  /** From a shared tier, of all ranks together. @default 80 @unit gigabytes per second */
  readonly shared_h2d_bandwidth_gbps?: number;
  /** From the beginning of a copy to its first byte. @default 0 @unit milliseconds */
  readonly latency_to_first_byte_ms?: number;
  /** What the bytes of a block look like; ranks of one tier agree about it. */
  readonly kv_layout_id?: string;
}

/** Settings of the disk tier. */
export interface DiskOffloadArgs {
  /** Whether each worker has a tier, or all workers of a deployment have one together. */
  readonly scope: "worker_local" | "cluster_shared";
  /** Blocks of a tier. */
  readonly num_g3_blocks: number;
  /** From the beginning of a copy to its first byte. @unit milliseconds */
  readonly latency_to_first_byte_ms: number;
  /** From the disk, of one worker; 0 takes no time. @unit gigabytes per second */
  readonly read_bandwidth_gbps: number;
  /** To the disk, of one worker; 0 takes no time. @unit gigabytes per second */
  readonly write_bandwidth_gbps: number;
  /** From a shared tier, of all workers together. @unit gigabytes per second */
  readonly shared_read_bandwidth_gbps: number;
  /** To a shared tier, of all workers together. @unit gigabytes per second */
  readonly shared_write_bandwidth_gbps: number;
}

/** Layers that keep the same context. */
export interface CacheGroupArgs {
  /** What they are called. */
  readonly name: string;
  /** What they do with it. */
  readonly kind: "attention" | "convolution";
  /** How many they are. */
  readonly num_layers: number;
  /** Tokens of a block. @unit tokens */
  readonly block_size_tokens: number;
  /** One block of all these layers. @unit bytes */
  readonly page_size_bytes: number;
  /** Tokens of context they keep; `null`: all. @unit tokens */
  readonly sliding_window: number | null;
}

/** Settings of the cache of recurrent states. */
export interface StateCacheArgs {
  /** The state of one request. @unit bytes */
  readonly bytes_per_request: number;
}

/** The `engine` object of normalised engine arguments. */
export interface EngineArgs {
  /** Whose scheduling. */
  readonly backend: Backend;
  /** Blocks, or pages, of one rank. */
  readonly num_gpu_blocks: number;
  /** Tokens of a block, or of a page. @unit tokens */
  readonly block_size: number;
  /** Longest prompt with its answer; `null`: none. @unit tokens */
  readonly max_model_len: number | null;
  /** Requests that run at a time; `null`: any number. */
  readonly max_num_seqs: number | null;
  /** Tokens of one pass; `null`: any number. @unit tokens */
  readonly max_num_batched_tokens: number | null;
  /** vLLM: with several ranks, prompts begin only at every so manieth pass. */
  readonly prefill_schedule_interval: number;
  /** SGLang: passes without prompts after one with. */
  readonly prefill_decode_interval: number;
  /** Whether blocks are found again. */
  readonly enable_prefix_caching: boolean;
  /** Whether a pass may compute a part of a prompt. */
  readonly enable_chunked_prefill: boolean;
  /** Divides all durations; 0 counts as 1. */
  readonly speedup_ratio: number;
  /** Divides those of decoding besides. */
  readonly decode_speedup_ratio: number;
  /** Drafted tokens a step; `null`: none. */
  readonly aic_nextn: number | null;
  /** Chance of each draft, given those before it; comma-separated. */
  readonly aic_nextn_accept_rates: string | null;
  /** Where the random numbers of the drafts begin. */
  readonly aic_mtp_seed: number;
  /** The worker's part in serving. */
  readonly worker_type: WorkerRole;
  /** Whether the newest or the oldest request gives way. */
  readonly preemption_mode: "lifo" | "fifo";
  /** Whether cache events are kept for somebody to take. */
  readonly emit_kv_events: boolean;
  /** Whether they are to carry token ids; read by who publishes them. */
  readonly emit_kv_token_ids: boolean;
  /** What travels between workers; `null`: it takes no time. @unit bytes */
  readonly kv_transfer_bytes_per_token: number | null;
  /** What the host tier stores, and what sizes blocks beside states. @unit bytes */
  readonly kv_cache_bytes_per_token?: number;
  /** A cache in groups, instead of `num_gpu_blocks` of one kind. */
  readonly kv_cache_groups?: readonly CacheGroupArgs[];
  /** What the groups share. @unit bytes */
  readonly kv_cache_capacity_bytes?: number;
  /** The host tier. */
  readonly native_host_offload?: HostOffloadArgs;
  /** The disk tier behind it. */
  readonly g3_offload?: DiskOffloadArgs;
  /** States of a model that has some, in blocks of the same pool. */
  readonly state_cache?: StateCacheArgs;
  /** How finely prefixes are found, with states; a divisor of `block_size`. @default `block_size` @unit tokens */
  readonly prefix_match_unit?: number;
  /** Between workers; `null` or 0: it takes no time. @unit gigabytes per second */
  readonly kv_transfer_bandwidth: number | null;
  /** Whether a whole prompt travels or only what is missing. */
  readonly kv_transfer_timing_mode: "full_prompt" | "destination_missing";
  /** How long passes take. */
  readonly timing_model: TimingConfig;
  /** SGLang's own settings. */
  readonly sglang: SglangArgs;
  /** TensorRT-LLM's own settings. */
  readonly trtllm: { readonly capacity_scheduler_policy: "guaranteed_no_evict" };
}
