/**
 * Recorded replays of the peer, and how a replay differs from one.
 *
 * @module
 */
import { parseLaunchArgs } from "../../engines/mocker/launch_args.ts";
import { readTimingTable } from "../../engines/mocker/npz.ts";
import type { TieBreak } from "../../engines/mocker/replay/kv_router.ts";
import { type ReplayOptions, replayTrace } from "../../engines/mocker/replay/replay.ts";
import type { RequestLog } from "../../engines/mocker/replay/request_log.ts";
import { readTrace, type Trace } from "../../engines/mocker/replay/trace.ts";
import { BlockHasher, sequenceHashes } from "../../src/protocol/block_hash.ts";
import { goldenBytes, goldenNames, goldenText } from "./golden.ts";

/** A recorded replay. */
export interface GoldenReplay {
  readonly name: string;
  readonly trace: string;
  readonly trace_block_size: number;
  readonly args: Readonly<Record<string, unknown>>;
  readonly deterministic: boolean;
  readonly summary: Readonly<Record<string, number | string | null>>;
  readonly per_request: readonly Readonly<Record<string, unknown>>[];
  readonly passes: readonly (readonly [number, string, null, Readonly<Record<string, number>>])[];
}

/** Names of all recorded replays. */
export function goldenReplayNames(): string[] {
  const index: readonly { readonly name: string }[] = JSON.parse(goldenText("mocker/replay/index.json"));
  return index.map(({ name }) => name);
}

/** A recorded replay. */
export function goldenReplay(name: string): GoldenReplay {
  return JSON.parse(goldenText(`mocker/replay/${name}.json`));
}

/** More recorded replays: with tiers below the engine's blocks, with recurrent states. */
export type RecordedWith = "tiers" | "states";

/** Names of the recorded replays with something that others have not. */
export function goldenNamesWith(what: RecordedWith): string[] {
  return goldenNames(`mocker/${what}/`).filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -5));
}

/** A recorded replay with it. */
export function goldenReplayWith(what: RecordedWith, name: string): GoldenReplay {
  const golden: GoldenReplay = JSON.parse(goldenText(`mocker/${what}/${name}.json`));
  return { ...golden, trace: `../${what}/${golden.trace}` };
}

/** Sums whose last digits depend on the order of random request ids in the peer. */
const ROUNDED = /^(?:mean|std)_|_worker_seconds$|^gpu_hours$/;
const RELATIVE = 1e-9;
/** The trace of which the peer shuffles the first pass. */
const TWINS = "traces/shared_burst.jsonl";

/** Runs a recorded replay again; each difference is one line. */
export async function differences(golden: GoldenReplay): Promise<string[]> {
  const trace = readTrace(goldenText(`mocker/replay/${golden.trace}`), golden.trace_block_size);
  const passes: Pass[] = [];
  const { summary, log } = replayTrace(trace, {
    ...await optionsOf(golden.args),
    hashBlocks: (blockSize) => {
      const hasher = new BlockHasher(blockSize);
      return (tokens, parent) => sequenceHashes(hasher.localHashes(tokens), parent);
    },
    tieBreak: recordedChoice(golden),
    details: true,
    onPass: (nowMs, pool, worker, rank, { wall_time, scheduled_requests: ran, queued_requests: queued }) =>
      passes.push([pool === "prefill" ? pool : "decode", {
        worker_id: worker,
        dp_rank: rank,
        wall_time,
        ...ran,
        num_queued_prefill: queued.num_prefill_requests,
        sum_queued_prefill_tokens: queued.sum_prefill_tokens,
        var_queued_prefill_length: queued.var_prefill_length,
        num_queued_decode: queued.num_decode_requests,
        sum_queued_decode_kv_tokens: queued.sum_decode_kv_tokens,
        var_queued_decode_kv_tokens: queued.var_decode_kv_tokens,
      }, nowMs]),
  });
  return [
    ...different("summary", summary, golden.summary),
    ...requestDifferences(golden.per_request.map((_, i) => recordOf(log, trace, i, golden)), golden),
    ...passDifferences(passes.filter(([, , endMs]) => endMs < (summary["duration_ms"] as number)), golden),
  ];
}

/** Role, figures, time. */
type Pass = readonly [string, Readonly<Record<string, number>>, number];

/** Takes the worker that the peer drew, if it is among the equals at all. */
function recordedChoice({ per_request }: GoldenReplay): TieBreak {
  const routed = per_request.toSorted((a, b) => (a["line"] as number) - (b["line"] as number))
    .map(({ routing }) => (routing as readonly (readonly [string, number])[])[0]![1]);
  return (places) => {
    const recorded = routed.shift()!;
    return places.includes(recorded) ? recorded : places[0]!;
  };
}

/** Requests that arrive at the same time in the same shape may have changed places. */
function requestDifferences(ours: readonly Record<string, unknown>[], { per_request, trace }: GoldenReplay): string[] {
  if (trace !== TWINS) {
    return per_request.flatMap((record, i) => different(`request ${record["line"]}`, ours[i]!, record));
  }
  const bare = ({ line: _line, ...record }: Readonly<Record<string, unknown>>) => record;
  const left = [...ours];
  return per_request.flatMap((record) => {
    const twin = left.findIndex((candidate) => different("", bare(candidate), bare(record)).length === 0);
    if (twin < 0) return [`request ${record["line"]} has no twin`];
    left.splice(twin, 1);
    return [];
  });
}

async function optionsOf(args: GoldenReplay["args"]): Promise<ReplayOptions> {
  const table = await readTimingTable(new Uint8Array(goldenBytes("mocker/replay/perf.npz")));
  const pool = (key: string, workers: unknown) =>
    args[key] === undefined ? undefined : { args: parseLaunchArgs(args[key]), table, workers: workers as number };
  return {
    aggregated: pool("engine_args", args["num_workers"]),
    prefill: pool("prefill_engine_args", args["num_prefill_workers"]),
    decode: pool("decode_engine_args", args["num_decode_workers"]),
    routerMode: args["router_mode"] as "round_robin" | "kv_router" | undefined,
    concurrency: args["replay_concurrency"] as number | undefined,
  };
}

function recordOf(log: RequestLog, trace: Trace, i: number, golden: GoldenReplay): Record<string, unknown> {
  const line = golden.per_request[i]!["line"] as number;
  const row = trace.rows[line]!;
  const detail = log.details![line]!;
  const time = (value: number | undefined) => value === undefined || Number.isNaN(value) ? undefined : value;
  const since = (value: number, from: number) => Number.isNaN(value) ? undefined : Math.max(0, value - from);
  const outputs = log.outputs[line]!;
  const arrival = log.arrival[line]!;
  const first = log.firstToken[line]!;
  const last = log.lastToken[line]!;
  const reusedOf = (pool: string) =>
    detail.admissions.reduce<number | undefined>(
      (most, [at, , reused]) => at === pool ? Math.max(most ?? 0, reused) : most,
      undefined,
    );
  const ranks = (golden.args["engine_args"] as { readonly dp_size?: number } | undefined)?.dp_size ?? 1;
  const schedulerOf = (...pools: string[]) => {
    const routed = detail.routing.find(([pool]) => pools.includes(pool));
    return routed === undefined ? undefined : routed[1] * ranks + routed[2];
  };
  const given = JSON.parse(goldenText(`mocker/replay/${golden.trace}`).split("\n")[line]!);
  return {
    line,
    session_id: given.session_id ?? `request_${line + 1}`,
    turn_index: row.turn,
    arrival_time_ms: arrival,
    first_admit_ms: time(log.firstAdmission[line]),
    first_token_ms: time(first),
    last_token_ms: time(last),
    terminal_time_ms: time(log.terminal[line]),
    ttft_ms: since(first, arrival),
    ttst_ms: since(log.secondToken[line]!, first),
    itl_ms: outputs > 1 ? since(last, first)! / (outputs - 1) : undefined,
    e2e_latency_ms: since(last, arrival),
    input_length: row.inputTokens,
    requested_output_length: row.outputTokens,
    output_length: outputs,
    reused_input_tokens: reusedOf("prefill") ?? log.reused[line],
    decode_reused_input_tokens: reusedOf("decode"),
    prefill_worker_idx: schedulerOf("prefill"),
    decode_worker_idx: schedulerOf("agg", "decode"),
    admission_count: detail.admissions.length,
    readmission_count: detail.admissions.filter(([, , , again]) => again).length,
    terminal_status: log.outcome(line),
    admissions: detail.admissions,
    routing: detail.routing,
    ...Object.fromEntries(detail.times),
  };
}

/**
 * The passes were asked for in a second run, which with random draws was another one; and they were asked for while it
 * ran, so those that end it are not among them.
 */
function passDifferences(ours: readonly Pass[], { passes, deterministic }: GoldenReplay): string[] {
  if (!deterministic) return [];
  const key = ([role, pass]: Pass) => `${role} ${pass["worker_id"]} ${pass["dp_rank"]}`;
  const byRank = Map.groupBy(ours, key);
  const theirs = Map.groupBy(passes.map(([polledMs, role, , pass]): Pass => [role, pass, polledMs]), key);
  return [...theirs].flatMap(([rank, list]) => {
    const mine = byRank.get(rank) ?? [];
    const found = mine.length === list.length ? [] : [`passes of ${rank}: ${mine.length} instead of ${list.length}`];
    return [
      ...found,
      ...list.slice(0, mine.length).flatMap(([, pass], i) => different(`pass ${i} of ${rank}`, mine[i]![1], pass)),
    ];
  });
}

function different(what: string, ours: Readonly<Record<string, unknown>>, theirs: Readonly<Record<string, unknown>>) {
  return Object.entries(theirs).flatMap(([name, expected]) => {
    const actual = ours[name];
    const isRounded = ROUNDED.test(name) || name.startsWith("var_");
    const isEqual = isRounded && typeof actual === "number" && typeof expected === "number"
      ? Math.abs(actual - expected) <= RELATIVE * Math.max(1, Math.abs(expected))
      : JSON.stringify(actual ?? null) === JSON.stringify(expected);
    return isEqual ? [] : [`${what}: ${name} is ${JSON.stringify(actual)}, recorded ${JSON.stringify(expected)}`];
  });
}
