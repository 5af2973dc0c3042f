/**
 * A divided replay of hours: one pool computes prompts, the other answers, and what is left in them.
 *
 * @module
 */
import type { EngineGroup } from "../../engines/mocker/engine_group.ts";
import { parseLaunchArgs } from "../../engines/mocker/launch_args.ts";
import { replayTrace } from "../../engines/mocker/replay/replay.ts";
import { readTrace } from "../../engines/mocker/replay/trace.ts";
import type { SoakNote } from "./mocker_soak.ts";
import { dice } from "./mock_requests.ts";

/** How long, and on what. */
export interface ReplaySoakPlan {
  /** Scheduling of both pools. */
  readonly backend: "vllm" | "sglang";
  /** Virtual time in which requests come. @unit milliseconds */
  readonly durationMs: number;
  /** Virtual time between two notes. @unit milliseconds */
  readonly noteEveryMs: number;
  /** Bytes of the heap that are in use; none: not noted. @unit bytes */
  readonly heapUsed?: () => number;
  /** Told of each note. */
  readonly onNote?: (note: SoakNote) => void;
}

const BLOCK = 16;
const BLOCKS = 900;
/** About what the pool that answers can take. @unit requests a second */
const RATE = 10;

/** Replays; the last note is of when all is over. */
export function replaySoak(plan: ReplaySoakPlan): SoakNote[] {
  const { backend, durationMs, noteEveryMs, heapUsed = () => 0 } = plan;
  const pool = (worker_type: string) => ({
    args: parseLaunchArgs({
      engine: { ...{ backend, worker_type, block_size: BLOCK, num_gpu_blocks: BLOCKS, max_num_seqs: 64 }, ...TRANSFER },
    }),
  });
  const groups = new Set<EngineGroup>();
  const notes: SoakNote[] = [];
  let most: Record<string, number> = {};
  let [over, nextMs] = [0, noteEveryMs];
  const note = (atMs: number) => {
    const ranks = [...groups].flatMap((group) => group.ranks);
    const preemptions = ranks.reduce((sum, { gauges }) => sum + gauges.preemptions, 0);
    const exact = { tokens: 0, driftNs: 0, roundingNs: 0, latestMs: 0 };
    notes.push({
      atMs,
      ends: { length: over },
      preemptions,
      most,
      sizes: sizesOf(groups),
      heapBytes: heapUsed(),
      ...exact,
    });
    most = {};
    plan.onNote?.(notes.at(-1)!);
  };
  const { log } = replayTrace(readTrace(traceText(durationMs), BLOCK), {
    prefill: pool("prefill"),
    decode: pool("decode"),
    onProgress: (ended) => over = ended,
    onWorker: (nowMs, _pool, _worker, group) => {
      groups.add(group);
      const sizes = sizesOf(groups);
      for (const name in sizes) most[name] = Math.max(most[name] ?? 0, sizes[name]!);
      if (nowMs < nextMs || nowMs > durationMs) return;
      nextMs += noteEveryMs;
      note(nowMs);
    },
  });
  note(Math.max(...notes.map(({ atMs }) => atMs), log.terminal.reduce((a, b) => Math.max(a, b), 0)));
  return notes;
}

const TRANSFER = { kv_transfer_bandwidth: 1, kv_transfer_bytes_per_token: 100_000 };

function sizesOf(groups: Iterable<EngineGroup>): Record<string, number> {
  const sum: Record<string, number> = { usedBlocks: 0, cachedBlocks: 0 };
  for (const { ranks } of groups) {
    for (const { sizes, gauges: { activeBlocks, inactiveBlocks } } of ranks) {
      for (const name in sizes) sum[name] = (sum[name] ?? 0) + sizes[name]!;
      sum["usedBlocks"]! += activeBlocks;
      sum["cachedBlocks"]! += inactiveBlocks;
    }
  }
  return sum;
}

/** Requests that come at random; prompts share beginnings. */
function traceText(durationMs: number): string {
  const random = dice(11);
  const lines: string[] = [];
  for (let at = 0; at < durationMs; at += random(2000 / RATE)) {
    const [shared, own] = [1 + random(8), 1 + random(12)];
    const prefix = random(6);
    const ids = [
      ...Array.from({ length: shared }, (_, i) => 100 * prefix + i),
      ...Array.from({ length: own }, (_, i) => 1000 + 16 * lines.length + i),
    ];
    const row = { timestamp: at, input_length: BLOCK * ids.length - random(BLOCK), output_length: 1 + random(300) };
    lines.push(JSON.stringify({ ...row, hash_ids: ids }));
  }
  return lines.join("\n");
}
