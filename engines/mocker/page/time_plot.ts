/**
 * Lines over time, each with a band from its least to its greatest value.
 *
 * @module
 */
import type { Columns } from "../replay/time_series.ts";
import {
  BOX,
  frame,
  type HoverLine,
  lineLegend,
  type Plot,
  px,
  steps,
  type Tick,
  verticalPlace,
  verticalTicks,
} from "./frame.ts";
import { type Content, table, tag } from "./markup.ts";
import { figure, rounded, ticks, ticksBetween, timeUnit } from "./scale.ts";

/** One line. */
export interface TimeLine {
  /** Whose values. */
  readonly name: string;
  /** The values. */
  readonly columns: Columns;
}

/** What to plot. */
export interface TimePlotParts {
  /** Name of the plot. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** What is shown. */
  readonly description: string;
  /** Unit on the vertical axis. */
  readonly yLabel: string;
  /** Unit after a value. */
  readonly unit: string;
  /** Whether the values are whole numbers. */
  readonly isCount: boolean;
  /** Width of a column. @unit milliseconds */
  readonly widthMs: number;
  /** Length of the run. @unit milliseconds */
  readonly durationMs: number;
  /** The lines, at most as many as there are colours. */
  readonly lines: readonly TimeLine[];
}

/** What the horizontal axis of all plots over time says. */
export const SINCE = "time since the first arrival";
/** Digits of values that are kept in the page. */
const DIGITS = 5;
/** Rows of a table of values. */
const ROWS = 32;

/** Plots lines over time. */
export function timePlot(parts: TimePlotParts): Plot {
  const { id, title, description, yLabel, unit, isCount, widthMs, durationMs, lines } = parts;
  const count = lines[0]?.columns.mean.length ?? 1;
  const greatest = Math.max(...lines.map(({ columns }) => columns.max.reduce((a, b) => Math.max(a, b), 0)));
  const yTicks = ticks(greatest, 4, isCount ? 1 : 0);
  const time = timeUnit(durationMs);
  const step = columnStep(count, widthMs, durationMs);
  return {
    id,
    title,
    description,
    legend: lineLegend(lines.map(({ name }) => name)),
    drawing: frame(
      { id, title, description, yLabel, xLabel: `${SINCE} (${time.name})`, ...axes(durationMs, yTicks) },
      lines.map(({ columns }, i) => drawn(columns, i, step, yTicks.at(-1)!)),
    ),
    table: valueTable(parts),
    hover: {
      left: BOX.left,
      step,
      edges: timeEdges(count, widthMs, durationMs),
      unit: time.name,
      lines: lines.map(({ name, columns }): HoverLine => ({
        name,
        unit,
        values: numbers(columns.mean),
        min: numbers(columns.min),
        max: numbers(columns.max),
      })),
    },
  };
}

/** Width of a column in units of the drawing; the last one may go beyond the end. */
export function columnStep(count: number, widthMs: number, durationMs: number): number {
  return durationMs === 0 ? (BOX.right - BOX.left) / count : (BOX.right - BOX.left) * widthMs / durationMs;
}

/** Edges of columns in the unit of a run's length; the last is the end of the run. */
export function timeEdges(count: number, widthMs: number, durationMs: number): number[] {
  const unit = timeUnit(durationMs);
  return Array.from({ length: count + 1 }, (_, i) => rounded(Math.min(i * widthMs, durationMs) / unit.ms, DIGITS));
}

/** Ticks of an axis over the length of a run. */
export function timeTicks(durationMs: number): Tick[] {
  const unit = timeUnit(durationMs);
  const length = durationMs / unit.ms;
  const found = length === 0 ? [0] : ticksBetween(0, length, 6);
  return found.map((at) => ({
    label: figure(at),
    at: BOX.left + (BOX.right - BOX.left) * (length === 0 ? 0 : at / length),
  }));
}

/** Values as a page keeps them. */
export function numbers(values: ArrayLike<number>): number[] {
  return Array.from(values, (value) => rounded(value, DIGITS));
}

function axes(durationMs: number, yTicks: readonly number[]) {
  return { x: timeTicks(durationMs), y: verticalTicks(yTicks) };
}

function drawn({ min, mean, max }: Columns, color: number, step: number, top: number): Content {
  const start = `M${BOX.left} ${px(verticalPlace(max[0]!, top))}`;
  return [
    tag("path", { class: `band s${color}`, d: `${start}${steps(max, step, top)}${steps(min, step, top, true)}Z` }),
    tag("path", {
      class: `line s${color}`,
      d: `M${BOX.left} ${px(verticalPlace(mean[0]!, top))}${steps(mean, step, top)}`,
    }),
  ];
}

/** The values again, in fewer rows. */
function valueTable({ title, lines, widthMs, durationMs }: TimePlotParts) {
  const count = lines[0]?.columns.mean.length ?? 0;
  const unit = timeUnit(durationMs);
  const joined = Math.ceil(count / ROWS);
  const rows = Array.from({ length: Math.ceil(count / joined) }, (_, row) => {
    const [from, to] = [row * joined, Math.min(count, (row + 1) * joined)];
    const span = `${figure(rounded(from * widthMs / unit.ms, 4))}–${
      figure(rounded(Math.min(to * widthMs, durationMs) / unit.ms, 4))
    }`;
    return [
      span,
      ...lines.flatMap(({ columns: { min, mean, max } }) => [
        figure(rounded(min.slice(from, to).reduce((a, b) => Math.min(a, b)), 4)),
        figure(rounded(meanOf(mean, from, to, widthMs, durationMs), 4)),
        figure(rounded(max.slice(from, to).reduce((a, b) => Math.max(a, b)), 4)),
      ]),
    ];
  });
  const heads = lines.flatMap(({ name }) => ["least", "mean", "most"].map((what) => `${name}, ${what}`));
  return table(title, [`${unit.name}`, ...heads], rows);
}

function meanOf(mean: Float64Array, from: number, to: number, widthMs: number, durationMs: number): number {
  let [sum, time] = [0, 0];
  for (let i = from; i < to; i++) {
    const length = durationMs === 0 ? 1 : Math.min((i + 1) * widthMs, durationMs) - i * widthMs;
    sum += mean[i]! * length;
    time += length;
  }
  return sum / time;
}
