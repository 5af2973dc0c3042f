/**
 * Plots of how values are distributed, and of what happened when.
 *
 * @module
 */
import { barPlot } from "./bar_plot.ts";
import { BOX, type Plot, type Tick } from "./frame.ts";
import { figure, logTicks, rounded, roundStep, ticksBetween, timeUnit } from "./scale.ts";
import { SINCE, timeTicks } from "./time_plot.ts";

/** Ranges of a distribution. */
const RANGES = 48;
/** From this ratio of the greatest to the least value on, ranges grow with the values. */
const LOG_RATIO = 8;

/** This share of the values may be beyond the axis, if they are beyond that multiple of the others. */
const [FEW, BEYOND] = [0.001, 2];

/** A distribution. */
export interface DistributionParts {
  /** Name of the plot. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** What is shown. */
  readonly description: string;
  /** What the values are, with their unit. */
  readonly xLabel: string;
  /** Values with how often each was seen. */
  readonly values: Iterable<readonly [number, number]>;
  /** Values to mark, by name. */
  readonly marks: readonly (readonly [string, number])[];
}

/** Plots the share of values in ranges; values of 0 have no place on a logarithmic axis and are told in words. */
export function distributionPlot({ values, marks, description, ...parts }: DistributionParts): Plot {
  const all = [...values];
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  const zeros = all.reduce((sum, [value, count]) => value === 0 ? sum + count : sum, 0);
  const positive = all.filter(([value]) => value > 0).sort((a, b) => a[0] - b[0]);
  const most = positive.at(-1)?.[0] ?? 0;
  const end = endOf(positive);
  const axis = axisOf(positive[0]?.[0] ?? Infinity, end);
  const shares = new Array<number>(RANGES).fill(0);
  for (const [value, count] of positive) shares[axis.rangeOf(value)]! += 100 * count / total;
  const told = [
    ...zeros === 0 ? [] : [` ${figure(zeros)} of ${figure(total)} are 0, for tokens that came together.`],
    ...end === most ? [] : [` The last bar has all up to ${figure(rounded(most, 4))} ms, which is beyond the axis.`],
  ].join("");
  return barPlot({
    ...parts,
    description: total === 0 ? `${description} There is none.` : description + told,
    yLabel: "share (%)",
    unit: " %",
    edges: Array.from({ length: RANGES + 1 }, (_, i) => rounded(axis.edge(i), 4)),
    edgeUnit: "ms",
    x: axis.ticks.map((tick): Tick => ({ label: figure(tick), at: placed(axis.share(tick)) })),
    series: [{ name: "share", values: shares.map((share) => rounded(share, 5)) }],
    marks: marks.filter(([, value]) => value >= axis.edge(0)).map(([name, value]): Tick => (
      { label: `${name} ${figure(rounded(value, 4))}`, at: placed(axis.share(value)) }
    )),
  });
}

/** Where the axis ends: at the greatest value, unless few are far beyond the others. */
function endOf(sorted: readonly (readonly [number, number])[]): number {
  const most = sorted.at(-1)?.[0] ?? 0;
  let left = sorted.reduce((sum, [, count]) => sum + count, 0) * FEW;
  let place = sorted.length - 1;
  while (place > 0 && sorted[place]![1] <= left) left -= sorted[place--]![1];
  const end = BEYOND * (sorted[place]?.[0] ?? 0);
  return end < most ? end : most;
}

/** Most bars of what happened when. */
const BARS = 48;

/** What happened when. */
export interface RateParts {
  /** Name of the plot. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** What is shown; the width of a bar is added. */
  readonly description: string;
  /** When things happened, by what; times that are not numbers are left out. @unit milliseconds */
  readonly times: Readonly<Record<string, Float64Array>>;
  /** When the plot begins. @unit milliseconds */
  readonly startMs: number;
  /** Its length. @unit milliseconds */
  readonly durationMs: number;
}

/** Counts what happened in equal spans of time. */
export function ratePlot({ id, title, description, times, startMs, durationMs }: RateParts): Plot {
  const widthMs = durationMs === 0 ? 1 : roundStep(durationMs / BARS);
  const bars = Math.max(1, Math.ceil(durationMs / widthMs - 1e-9));
  const unit = timeUnit(durationMs);
  const series = Object.entries(times).map(([name, list]) => {
    const values = new Array<number>(bars).fill(0);
    for (const time of list) {
      if (!Number.isNaN(time)) values[Math.min(bars - 1, Math.floor((time - startMs) / widthMs))]!++;
    }
    return { name, values };
  });
  const span = timeUnit(widthMs);
  const per = `${figure(rounded(widthMs / span.ms, 3))} ${span.name}`;
  return barPlot({
    id,
    title,
    description: `${description} A bar is ${per} wide.`,
    xLabel: `${SINCE} (${unit.name})`,
    yLabel: `requests per ${per}`,
    unit: "",
    least: 1,
    edges: Array.from({ length: bars + 1 }, (_, i) => rounded(i * widthMs / unit.ms, 6)),
    edgeUnit: unit.name,
    end: BOX.left + (BOX.right - BOX.left) * (durationMs === 0 ? 1 : bars * widthMs / durationMs),
    x: timeTicks(durationMs),
    series,
  });
}

interface Axis {
  readonly ticks: readonly number[];
  /** The edge below a range. */
  edge(range: number): number;
  /** Where a value is, from 0 to 1. */
  share(value: number): number;
  rangeOf(value: number): number;
}

function axisOf(least: number, most: number): Axis {
  const isEmpty = most === 0;
  const isLog = !isEmpty && most / least >= LOG_RATIO;
  // A single value gets room on both sides.
  const margin = isEmpty ? 0 : least === most ? least / 2 : isLog ? 0 : (most - least) / RANGES;
  const [from, to] = isEmpty ? [0, 1] : [Math.max(0, least - margin), most + margin];
  const share = isLog
    ? (value: number) => Math.log(value / from) / Math.log(to / from)
    : (value: number) => (value - from) / (to - from);
  return {
    ticks: isLog ? logTicks(from, to) : ticksBetween(from, to, 6),
    edge: (range) => isLog ? from * (to / from) ** (range / RANGES) : from + (to - from) * range / RANGES,
    share,
    rangeOf: (value) => Math.min(RANGES - 1, Math.max(0, Math.floor(RANGES * share(value) + 1e-9))),
  };
}

function placed(share: number): number {
  return BOX.left + (BOX.right - BOX.left) * Math.min(1, Math.max(0, share));
}
