/**
 * Bars: how many of something fall into each of many ranges.
 *
 * @module
 */
import { BOX, frame, type HoverLine, lineLegend, type Plot, px, steps, type Tick, verticalTicks } from "./frame.ts";
import { table, tag } from "./markup.ts";
import { figure, rounded, ticks } from "./scale.ts";

/** Something that is counted by ranges. */
export interface BarSeries {
  /** Its name. */
  readonly name: string;
  /** How many fall into each range. */
  readonly values: readonly number[];
}

/** What to plot. All ranges are as wide as each other in the drawing. */
export interface BarPlotParts {
  /** Name of the plot. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** What is shown. */
  readonly description: string;
  /** What the horizontal axis shows. */
  readonly xLabel: string;
  /** What the vertical axis shows. */
  readonly yLabel: string;
  /** Unit after a value. */
  readonly unit: string;
  /** Least distance of two ticks on the vertical axis; 1 for whole numbers. @default 0 */
  readonly least?: number;
  /** Edges of the ranges. */
  readonly edges: readonly number[];
  /** Unit of the edges. */
  readonly edgeUnit: string;
  /** Where the last range ends in the drawing; it may go beyond the axis. @default BOX.right */
  readonly end?: number;
  /** Ticks of the horizontal axis. */
  readonly x: readonly Tick[];
  /** The first as bars, a second one as a line. */
  readonly series: readonly BarSeries[];
  /** Marked values. */
  readonly marks?: readonly Tick[];
}

/** Height of a line of labels of marks. */
const MARK_ROW = 11;

/** Plots bars. */
export function barPlot(parts: BarPlotParts): Plot {
  const { id, title, description, xLabel, yLabel, unit, least = 0, edges, edgeUnit, end = BOX.right, x } = parts;
  const { series, marks = [] } = parts;
  const yTicks = ticks(Math.max(0, ...series.flatMap(({ values }) => values)), 4, least);
  const step = (end - BOX.left) / (edges.length - 1);
  return {
    id,
    title,
    description,
    legend: lineLegend(series.map(({ name }) => name)),
    drawing: frame(
      { id, title, description, xLabel, yLabel, x, y: verticalTicks(yTicks) },
      series.map(({ values }, i) =>
        tag("path", { class: `${i === 0 ? "bars" : "line"} s${i}`, d: drawn(values, step, yTicks.at(-1)!, i === 0) })
      ),
      marks.map(({ label, at }, i) => [
        tag("path", { class: "mark", d: `M${px(at)} ${BOX.top + MARK_ROW * i}V${BOX.bottom}` }),
        tag(
          "text",
          { class: at > BOX.right - 60 ? "mark y" : "mark", x: px(at), y: BOX.top + MARK_ROW * (i + 1) - 2 },
          label,
        ),
      ]),
    ),
    table: table(
      title,
      [edgeUnit, ...series.map(({ name }) => name)],
      edges.slice(1).flatMap((to, i) =>
        series.every(({ values }) => values[i] === 0)
          ? []
          : [[`${figure(edges[i]!)}–${figure(to)}`, ...series.map(({ values }) => figure(rounded(values[i]!, 5)))]]
      ),
    ),
    hover: {
      left: BOX.left,
      step,
      edges,
      unit: edgeUnit,
      lines: series.map(({ name, values }): HoverLine => ({ name, unit, values })),
    },
  };
}

/** Bars from the axis, or the line over them. */
function drawn(values: readonly number[], step: number, top: number, isClosed: boolean): string {
  const path = `M${BOX.left} ${BOX.bottom}${steps(values, step, top)}`;
  return isClosed ? `${path}V${BOX.bottom}Z` : path;
}
