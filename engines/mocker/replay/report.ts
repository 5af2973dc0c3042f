/**
 * The figures of a replay, by the peer's names.
 *
 * @source aisimulate-core 0.13.0, `report.rs`, `ReplayReport`
 * @module
 */
import type { Figure } from "../tiers/tier_pools.ts";
import type { QuantileSketch } from "./quantile_sketch.ts";
import type { RequestLog } from "./request_log.ts";
import type { TraceRow } from "./trace.ts";

/** Limits a request has to keep to count as good. */
export interface Sla {
  /** Time to first token. @unit milliseconds */
  readonly ttftMs?: number | undefined;
  /** Mean time between tokens. @unit milliseconds */
  readonly itlMs?: number | undefined;
  /** Arrival to last token. @unit milliseconds */
  readonly e2eMs?: number | undefined;
}

/** What a report needs besides the log. */
export interface ReportParts {
  /** What happened. */
  readonly log: RequestLog;
  /** To whom. */
  readonly rows: readonly TraceRow[];
  /** Seconds of worker time. @unit seconds */
  readonly prefillWorkerSeconds: number;
  /** Seconds of worker time. @unit seconds */
  readonly decodeWorkerSeconds: number;
  /** GPUs of a prefill worker. */
  readonly prefillGpus: number;
  /** GPUs of a worker that answers. */
  readonly decodeGpus: number;
  /** What makes a request a good one. */
  readonly sla: Sla;
  /** What tiers below the engine's blocks tell of themselves. */
  readonly tiers: Readonly<Record<string, Figure>>;
}

/** Names and figures, as the peer prints them. */
export type ReplaySummary = Record<string, Figure>;

const PERCENTILES: readonly (readonly [string, number])[] = [
  ["median", 50],
  ["p75", 75],
  ["p90", 90],
  ["p95", 95],
  ["p99", 99],
];
const MIN_SECONDS = 1e-9;

/** Adds the log up. */
export function summarize(parts: ReportParts): ReplaySummary {
  const { log } = parts;
  log.finish();
  const samples = collect(parts);
  const seconds = Math.max(samples.durationMs / 1000, MIN_SECONDS);
  const { input, output, completed } = samples;
  const gpuSeconds = parts.prefillWorkerSeconds * parts.prefillGpus + parts.decodeWorkerSeconds * parts.decodeGpus;
  return {
    kv_eviction_policy: "lru",
    ...parts.tiers,
    committed_prefill_tokens: log.prefillTokens,
    num_requests: log.arrived,
    completed_requests: completed,
    total_input_tokens: input,
    total_output_tokens: output,
    duration_ms: samples.durationMs,
    request_throughput_rps: completed / seconds,
    input_throughput_tok_s: input / seconds,
    output_throughput_tok_s: output / seconds,
    total_throughput_tok_s: (input + output) / seconds,
    prefill_worker_seconds: parts.prefillWorkerSeconds,
    decode_worker_seconds: parts.decodeWorkerSeconds,
    prefill_gpus_per_worker: parts.prefillGpus,
    decode_gpus_per_worker: parts.decodeGpus,
    gpu_hours: gpuSeconds / 3600,
    ...goodput(parts.sla, samples, seconds),
    power_w: null,
    power_coverage: null,
    processed_tokens: input + output,
    prefix_cache_reused_ratio: input === 0 ? 0 : samples.reused / input,
    first_admission_prefix_cache_reused_ratio: input === 0 ? 0 : samples.firstReused / input,
    num_ttft_samples: samples.ttft.length,
    num_tpot_samples: samples.tpot.length,
    num_e2e_latency_samples: samples.e2e.length,
    ...distribution("ttft_ms", samples.ttft),
    ...distribution("ttst_ms", samples.ttst),
    ...distribution("tpot_ms", samples.tpot),
    ...sketched("itl_ms", log.gaps),
    ...distribution("e2e_latency_ms", samples.e2e),
    ...sketched("output_token_throughput_per_user", log.rates),
  };
}

interface Samples {
  readonly ttft: Float64Array;
  readonly ttst: Float64Array;
  readonly tpot: Float64Array;
  readonly e2e: Float64Array;
  readonly durationMs: number;
  readonly completed: number;
  readonly input: number;
  readonly output: number;
  readonly reused: number;
  readonly firstReused: number;
  readonly good: number;
  readonly goodOutput: number;
}

function collect({ log, rows, sla }: ReportParts): Samples {
  const ttft: number[] = [];
  const ttst: number[] = [];
  const tpot: number[] = [];
  const e2e: number[] = [];
  let [durationMs, completed, input, output, reused, firstReused, good, goodOutput] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (const { index, inputTokens } of rows) {
    if (log.outcome(index) !== "completed" || Number.isNaN(log.firstAdmission[index])) continue;
    const outputs = log.outputs[index]!;
    completed++;
    input += inputTokens;
    output += outputs;
    reused += log.reused[index]!;
    firstReused += log.firstReused[index]!;
    durationMs = Math.max(durationMs, log.terminal[index]!);
    const arrival = log.arrival[index]!;
    if (outputs === 0) {
      if (isGood(sla, undefined, log.terminal[index]! - arrival, undefined)) good++;
      continue;
    }
    const first = log.firstToken[index]!;
    const last = log.lastToken[index]!;
    ttft.push(Math.max(0, first - arrival));
    e2e.push(Math.max(0, last - arrival));
    if (outputs > 1) {
      ttst.push(Math.max(0, log.secondToken[index]! - first));
      tpot.push(Math.max(0, last - first) / (outputs - 1));
    }
    if (!isGood(sla, first - arrival, last - arrival, outputs > 1 ? (last - first) / (outputs - 1) : undefined)) {
      continue;
    }
    good++;
    goodOutput += outputs;
  }
  return {
    ttft: Float64Array.from(ttft),
    ttst: Float64Array.from(ttst),
    tpot: Float64Array.from(tpot),
    e2e: Float64Array.from(e2e),
    durationMs,
    completed,
    input,
    output,
    reused,
    firstReused,
    good,
    goodOutput,
  };
}

/** Whether every limit that is set is kept; a request without tokens can only keep the last. */
function isGood(sla: Sla, ttft: number | undefined, e2e: number, itl: number | undefined): boolean {
  if (ttft === undefined && (sla.ttftMs !== undefined || sla.itlMs !== undefined)) return false;
  if (sla.ttftMs !== undefined && ttft! > sla.ttftMs) return false;
  if (sla.itlMs !== undefined && itl !== undefined && itl > sla.itlMs) return false;
  return sla.e2eMs === undefined || e2e <= sla.e2eMs;
}

function goodput(sla: Sla, { good, goodOutput }: Samples, seconds: number): ReplaySummary {
  if (sla.ttftMs === undefined && sla.itlMs === undefined && sla.e2eMs === undefined) return {};
  return {
    goodput_completed_requests: good,
    goodput_request_throughput_rps: good / seconds,
    goodput_output_throughput_tok_s: goodOutput / seconds,
  };
}

function distribution(name: string, values: Float64Array): ReplaySummary {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = values.length === 0 ? 0 : sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) * (value - mean);
  const deviation = values.length === 0 ? 0 : Math.sqrt(squares / values.length);
  values.sort();
  const at = (percentile: number) => values[Math.floor((values.length - 1) * percentile / 100 + 0.5)] ?? 0;
  return named(name, mean, values[0] ?? 0, values.at(-1) ?? 0, at, deviation);
}

function sketched(name: string, sketch: QuantileSketch): ReplaySummary {
  const isEmpty = sketch.count === 0;
  const at = (percentile: number) => sketch.percentile(percentile);
  return named(name, sketch.mean, isEmpty ? 0 : sketch.min, isEmpty ? 0 : sketch.max, at, sketch.deviation);
}

function named(
  name: string,
  mean: number,
  min: number,
  max: number,
  at: (percentile: number) => number,
  deviation: number,
): ReplaySummary {
  return {
    [`mean_${name}`]: mean,
    [`min_${name}`]: min,
    [`max_${name}`]: max,
    ...Object.fromEntries(PERCENTILES.map(([prefix, percentile]) => [`${prefix}_${name}`, at(percentile)])),
    [`std_${name}`]: deviation,
  };
}
