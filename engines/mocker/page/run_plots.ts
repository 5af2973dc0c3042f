/**
 * The plots of a replay.
 *
 * @module
 */
import type { ReplaySummary } from "../replay/report.ts";
import type { RequestLog } from "../replay/request_log.ts";
import type { RunRecord, WorkerRecord } from "../replay/run_recorder.ts";
import type { Columns } from "../replay/time_series.ts";
import { distributionPlot, ratePlot } from "./distribution.ts";
import type { Plot } from "./frame.ts";
import { heatPlot } from "./heat_plot.ts";
import { MOST_LINES } from "./style.ts";
import { type TimeLine, timePlot } from "./time_plot.ts";

/** What a replay left behind. */
export interface ReplayRecord {
  /** Figures. */
  readonly summary: ReplaySummary;
  /** Requests. */
  readonly log: RequestLog;
  /** Workers. */
  readonly run: RunRecord;
}

type Measure = "waiting" | "batch" | "kv";

const MEASURES: readonly (readonly [Measure, string, string, string, string])[] = [
  ["waiting", "Queue", "Requests that wait.", "requests waiting", ""],
  ["batch", "Batch", "Requests in the pass that is under way; 0 between passes.", "requests running", ""],
  ["kv", "KV use", "Blocks in use after each pass; in SGLang mode cached ones count too.", "blocks in use (%)", " %"],
];

const POOL_NAMES = { agg: "worker", prefill: "prefill", decode: "decode" } as const;

/** All plots, in the order of the page. */
export function runPlots({ summary, log, run }: ReplayRecord): Plot[] {
  const { startMs, endMs, widthMs, workers } = run;
  const durationMs = endMs - startMs;
  const isFew = workers.length <= MOST_LINES;
  const over = (measure: Measure, title: string, description: string, yLabel: string, unit: string) =>
    timePlot({
      ...{ id: measure, title, yLabel, unit, widthMs, durationMs, isCount: measure !== "kv" },
      description: isFew ? description : `${description} The band goes from the least to the most of all workers.`,
      lines: linesOf(workers, measure, isFew),
    });
  const heat = (measure: Measure, title: string, description: string, _label: string, unit: string) =>
    heatPlot({
      ...{ id: `${measure}-workers`, title: `${title} by worker`, unit, widthMs, durationMs },
      description: `${description} Means; an empty place is 0.`,
      rows: workers.map((worker) => ({ name: shortName(worker), values: worker[measure].mean })),
    });
  return [
    ratePlot({
      ...{ id: "arrivals", title: "Arrivals", startMs, durationMs },
      description: "Requests that came, and requests that were over.",
      times: { "came": log.arrival, "over": log.terminal },
    }),
    ...MEASURES.map((one) => over(...one)),
    latency(summary, "ttft", "Time to first token", "of all requests with an answer", ttftOf(log)),
    latency(summary, "itl", "Inter-token latency", "between tokens of one answer, to 0.1 %", log.gaps),
    ...isFew ? [] : MEASURES.map((one) => heat(...one)),
  ];
}

function latency(
  summary: ReplaySummary,
  id: "ttft" | "itl",
  title: string,
  whose: string,
  values: Iterable<readonly [number, number]>,
): Plot {
  const marks = [["p50", "median"], ["p90", "p90"], ["p99", "p99"]] as const;
  return distributionPlot({
    id,
    title,
    description: `Time ${whose}.`,
    xLabel: `${title.toLowerCase()} (ms)`,
    values,
    marks: marks.map(([name, statistic]) => [name, summary[`${statistic}_${id}_ms`] as number]),
  });
}

function* ttftOf({ arrival, firstToken }: RequestLog): Generator<readonly [number, number]> {
  for (let i = 0; i < arrival.length; i++) {
    if (!Number.isNaN(firstToken[i]!)) yield [Math.max(0, firstToken[i]! - arrival[i]!), 1];
  }
}

/** A line for each worker, or, when there are many, one for each pool. */
function linesOf(workers: readonly WorkerRecord[], measure: Measure, isFew: boolean): TimeLine[] {
  if (isFew) {
    return workers.map((one) => ({ name: `${POOL_NAMES[one.pool]} ${one.worker}`, columns: one[measure] }));
  }
  return [...Map.groupBy(workers, ({ pool }) => pool)].map(([pool, members]) => ({
    name: `${members.length} ${pool === "agg" ? "" : `${pool} `}worker${members.length === 1 ? "" : "s"}, mean`,
    columns: together(members.map((one) => one[measure])),
  }));
}

function together(all: readonly Columns[]): Columns {
  const join = (key: keyof Columns, by: (a: number, b: number) => number, share = 1) =>
    all[0]![key].map((_, i) => share * all.reduce((sum, one) => by(sum, one[key][i]!), key === "min" ? Infinity : 0));
  return {
    min: join("min", Math.min),
    mean: join("mean", (a, b) => a + b, 1 / all.length),
    max: join("max", Math.max),
  };
}

function shortName({ pool, worker }: WorkerRecord): string {
  return `${pool === "agg" ? "" : pool[0]!.toUpperCase()}${worker}`;
}
