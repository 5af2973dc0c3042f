/**
 * A report in rows, with units, for people.
 *
 * @module
 */
import type { ReplaySummary } from "./report.ts";

/** One figure. */
export interface ReportFact {
  /** The peer's name. */
  readonly name: string;
  /** The figure. */
  readonly value: number;
  /** Its unit; empty for ratios. */
  readonly unit: string;
}

/** One distribution. */
export interface ReportDistribution {
  /** The peer's name, without the statistic before it. */
  readonly name: string;
  /** Unit of its figures. */
  readonly unit: string;
  /** In the order of {@linkcode STATISTICS}; `undefined` where the report has none. */
  readonly values: readonly (number | undefined)[];
}

/** What is known of a distribution, as the peer's names begin. */
export const STATISTICS: readonly string[] = ["mean", "min", "median", "p75", "p90", "p95", "p99", "max", "std"];

const DISTRIBUTIONS = [
  ["ttft_ms", "ms"],
  ["ttst_ms", "ms"],
  ["tpot_ms", "ms"],
  ["itl_ms", "ms"],
  ["e2e_latency_ms", "ms"],
  ["output_token_throughput_per_user", "tokens/s"],
] as const;

/** The first that fits. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_samples$/, "samples"],
  [/_rps$/, "requests/s"],
  [/_tok_s$/, "tokens/s"],
  [/_worker_seconds$/, "s"],
  [/_gpus_per_worker$/, "GPUs"],
  [/^gpu_hours$/, "h"],
  [/_tokens$/, "tokens"],
  [/_requests$/, "requests"],
  [/_ms$/, "ms"],
  [/_w$/, "W"],
];

/** The figures of a report that stand alone. */
export function reportFacts(summary: ReplaySummary): ReportFact[] {
  return Object.entries(summary).flatMap(([name, value]) => {
    if (typeof value !== "number" || DISTRIBUTIONS.some(([end]) => name.endsWith(`_${end}`))) return [];
    return [{ name, value, unit: UNITS.find(([pattern]) => pattern.test(name))?.[1] ?? "" }];
  });
}

/** The distributions of a report. */
export function reportDistributions(summary: ReplaySummary): ReportDistribution[] {
  return DISTRIBUTIONS.map(([name, unit]) => ({
    name,
    unit,
    values: STATISTICS.map((statistic) => summary[`${statistic}_${name}`] as number | undefined),
  }));
}
