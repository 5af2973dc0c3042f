/**
 * Replays a trace on simulated workers.
 *
 * @module
 */
import { type LaunchArgs, rankArgs } from "../launch_args.ts";
import { createGroup } from "../engine_factory.ts";
import type { BlockSequence } from "../sequence.ts";
import { TierPools } from "../tiers/tier_pools.ts";
import type { TimingTableArrays } from "../timing_table.ts";
import { AggregatedReplay } from "./aggregated.ts";
import { VirtualClock } from "./clock.ts";
import { DisaggregatedReplay } from "./disaggregated.ts";
import { type HashBlocks, HashedSequence } from "./hashed_sequence.ts";
import { KvRouter, type TieBreak } from "./kv_router.ts";
import { type PlacementPolicy, RankRoundRobin, WorkerRoundRobin } from "./placement.ts";
import { type ReplayRun, type RunParts, runReplay } from "./replay_run.ts";
import { type ReplaySummary, type Sla, summarize } from "./report.ts";
import { RequestLog } from "./request_log.ts";
import type { Trace, TraceRow } from "./trace.ts";
import { TraceSequence } from "./trace_sequence.ts";
import type { PassObserver, WorkerObserver } from "./worker_pool.ts";
import { Workload } from "./workload.ts";

/** Engine arguments of one pool, with the profile they name. */
export interface PoolArgs {
  /** The arguments. */
  readonly args: LaunchArgs;
  /** Content of `timing_model.config.path`. */
  readonly table?: TimingTableArrays | undefined;
  /** How many there are. @default 1 */
  readonly workers?: number | undefined;
}

/** How to replay. */
export interface ReplayOptions {
  /** Workers that compute prompts and answers; either this or `prefill` and `decode`. */
  readonly aggregated?: PoolArgs | undefined;
  /** Workers that compute prompts. */
  readonly prefill?: PoolArgs | undefined;
  /** Workers that answer. */
  readonly decode?: PoolArgs | undefined;
  /** Who chooses workers. @default "round_robin" */
  readonly routerMode?: "round_robin" | "kv_router" | undefined;
  /** How the KV router chooses among equals; none: by seeded chance. */
  readonly tieBreak?: TieBreak | undefined;
  /** How blocks of a size are named where there is a host tier, which evicts by name; none: by numbers of our own. */
  readonly hashBlocks?: ((blockSize: number) => HashBlocks) | undefined;
  /** Requests kept in flight, timestamps ignored; none: as in the trace. */
  readonly concurrency?: number | undefined;
  /** Divides timestamps and pauses. @default 1 */
  readonly arrivalSpeedup?: number | undefined;
  /** Stops here. @unit milliseconds */
  readonly maxSimTimeMs?: number | undefined;
  /** What makes a request a good one; without it there is no goodput. */
  readonly sla?: Sla | undefined;
  /** Whether to keep admissions, routing and hand-off times of every request. @default false */
  readonly details?: boolean | undefined;
  /** Told of every pass. */
  readonly onPass?: PassObserver | undefined;
  /** Told how a worker stands whenever something may have changed. */
  readonly onWorker?: WorkerObserver | undefined;
  /** Told how many of all requests are over, after each that ends. */
  readonly onProgress?: ((ended: number, all: number) => void) | undefined;
}

/** What a replay found. */
export interface ReplayResult {
  /** Figures. */
  readonly summary: ReplaySummary;
  /** What they come from. */
  readonly log: RequestLog;
}

/**
 * Replays a trace.
 *
 * @throws {RangeError} If options contradict each other or an engine argument cannot be used.
 * @throws {Error} If requests are left that nothing can ever move.
 */
export function replayTrace(trace: Trace, options: ReplayOptions): ReplayResult {
  const { rows } = trace;
  const clock = new VirtualClock();
  const { state_cache: states, prefix_match_unit: unit } = options.aggregated?.args.engine ?? {};
  const log = new RequestLog(rows.length, options.details ?? false, states !== undefined);
  const workload = new Workload(trace, options);
  let ended = 0;
  const parts: RunParts = {
    rows,
    clock,
    log,
    sequenceOf: namer(trace, blockSizeOf(options), options),
    unitsOf: unit === undefined ? undefined : namer(trace, unit, options),
    onEnd: (request, nowMs) => {
      workload.end(rows[request]!, nowMs, log.outcome(request) === "failed");
      options.onProgress?.(++ended, rows.length);
    },
    onPass: options.onPass,
    onWorker: options.onWorker,
  };
  const tierPools = new TierPools();
  const run = createRun(parts, options, tierPools);
  let workerSeconds = 0;
  runReplay(run, workload, clock, {
    maxMs: options.maxSimTimeMs,
    onStep: (nowMs, beforeMs) => workerSeconds += (nowMs - beforeMs) / 1000,
  });
  const { aggregated, prefill, decode } = options;
  const answering = aggregated ?? decode;
  const summary = summarize({
    log,
    rows,
    prefillWorkerSeconds: workerSeconds * (aggregated === undefined ? prefill?.workers ?? 1 : 0),
    decodeWorkerSeconds: workerSeconds * (answering?.workers ?? 1),
    prefillGpus: gpus(prefill),
    decodeGpus: gpus(answering),
    sla: options.sla ?? {},
    tiers: tierPools.figures,
  });
  return { summary, log };
}

function createRun(parts: RunParts, options: ReplayOptions, tierPools: TierPools): ReplayRun {
  const { aggregated, prefill, decode } = options;
  if (aggregated !== undefined && prefill === undefined && decode === undefined) {
    return new AggregatedReplay(parts, {
      workers: groups(aggregated, options, tierPools),
      router: router(aggregated, options, (workers, ranks) => new WorkerRoundRobin(workers, ranks)),
    });
  }
  if (aggregated !== undefined || prefill === undefined || decode === undefined) {
    throw new RangeError("Cannot replay: give engine arguments for one pool, or for prefill and decode both");
  }
  const inTurn = (workers: number, ranks: number) => new RankRoundRobin(workers, ranks);
  return new DisaggregatedReplay(parts, {
    prefill: { workers: groups(prefill, options, tierPools), router: router(prefill, options, inTurn) },
    decode: { workers: groups(decode, options, tierPools), router: router(decode, options, inTurn) },
    transferArgs: prefill.args.engine,
    isSourceFirst: prefill.args.engine.backend !== "sglang",
  });
}

function groups({ args, table, workers = 1 }: PoolArgs, { routerMode }: ReplayOptions, tierPools: TierPools) {
  const engine = rankArgs(args, routerMode === "kv_router");
  const parts = { table, tierPools, tensorParallelSize: args.tensor_parallel_size };
  return Array.from({ length: workers }, (_, worker) => createGroup(engine, args.dp_size, worker, parts));
}

function router(
  { args, workers = 1 }: PoolArgs,
  { routerMode, tieBreak }: ReplayOptions,
  inTurn: (workers: number, ranks: number) => PlacementPolicy,
): PlacementPolicy {
  if (routerMode !== "kv_router") return inTurn(workers, args.dp_size);
  return new KvRouter(workers, args.dp_size, args.engine.block_size, tieBreak);
}

/** Makes the blocks of requests. */
function namer(trace: Trace, blockSize: number, options: ReplayOptions): (row: TraceRow) => BlockSequence {
  const pools = [options.aggregated, options.prefill, options.decode];
  const hasHost = pools.some((pool) => pool?.args.engine.native_host_offload !== undefined);
  const hashBlocks = hasHost ? options.hashBlocks?.(blockSize) : undefined;
  return (row) => {
    const tokens = {
      blocks: row.blocks,
      traceBlockSize: trace.blockSize,
      promptTokens: row.inputTokens,
      maxOutputTokens: row.outputTokens,
      outputTokenIds: row.outputTokenIds,
      nonce: row.index,
    };
    if (hashBlocks === undefined) return new TraceSequence(tokens, blockSize);
    return new HashedSequence(tokens, blockSize, hashBlocks);
  };
}

function blockSizeOf({ aggregated, decode }: ReplayOptions): number {
  return (aggregated ?? decode)!.args.engine.block_size;
}

function gpus(pool: PoolArgs | undefined): number {
  return pool === undefined ? 0 : pool.args.tensor_parallel_size * pool.args.dp_size;
}
