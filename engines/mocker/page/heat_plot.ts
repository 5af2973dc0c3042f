/**
 * A row for each of many workers, darker where a value is greater.
 *
 * @module
 */
import { bottomOf, BOX, columnPlace, frame, type HoverLine, type Plot, px, type Tick } from "./frame.ts";
import { type Markup, table, tag } from "./markup.ts";
import { figure, rounded, ticksBetween, timeUnit } from "./scale.ts";
import { columnStep, numbers, SINCE, timeEdges, timeTicks } from "./time_plot.ts";

/** Shades besides that of nothing. */
export const SHADES = 6;
/** Most rows; with more workers a row stands for several. */
const MOST_ROWS = 64;
/** Columns of a row are joined until there are at most so many. */
const MOST_COLUMNS = 128;

/** One worker. */
export interface HeatRow {
  /** Its name. */
  readonly name: string;
  /** Means by column. */
  readonly values: Float64Array;
}

/** What to plot. */
export interface HeatPlotParts {
  /** Name of the plot. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** What is shown. */
  readonly description: string;
  /** Unit after a value. */
  readonly unit: string;
  /** Width of a column. @unit milliseconds */
  readonly widthMs: number;
  /** Length of the run. @unit milliseconds */
  readonly durationMs: number;
  /** The workers. */
  readonly rows: readonly HeatRow[];
}

/** Plots rows. */
export function heatPlot({ id, title, description, unit, widthMs, durationMs, rows }: HeatPlotParts): Plot {
  const joined = Math.ceil((rows[0]?.values.length ?? 1) / MOST_COLUMNS);
  const drawn = joinRows(rows).map(({ name, values }) => ({ name, values: joinColumns(values, joined) }));
  const columns = drawn[0]?.values.length ?? 1;
  const most = drawn.reduce((most, { values }) => values.reduce((a, b) => Math.max(a, b), most), 0);
  const rowHeight = Math.max(4, Math.min(16, Math.floor(172 / drawn.length)));
  const height = BOX.height - (BOX.bottom - BOX.top) + rowHeight * drawn.length;
  const step = columnStep(columns, widthMs * joined, durationMs);
  const y = rowTicks(drawn, rowHeight);
  const time = timeUnit(durationMs);
  return {
    id,
    title,
    description,
    legend: shadeLegend(most, unit),
    drawing: frame(
      {
        id,
        title,
        description,
        yLabel: "worker",
        xLabel: `${SINCE} (${time.name})`,
        x: timeTicks(durationMs),
        y,
        height,
      },
      drawn.map(({ values }, row) => shadedRow(values, most, step, BOX.top + row * rowHeight, rowHeight, height)),
    ),
    table: table(
      title,
      ["worker", "mean", "most"],
      drawn.map(({ name, values }) => [
        name,
        figure(rounded(values.reduce((a, b) => a + b, 0) / values.length, 4)),
        figure(rounded(values.reduce((a, b) => Math.max(a, b), 0), 4)),
      ]),
    ),
    hover: {
      left: BOX.left,
      step,
      edges: timeEdges(columns, widthMs * joined, durationMs),
      unit: time.name,
      lines: drawn.map(({ name, values }): HoverLine => ({ name: `worker ${name}`, unit, values: numbers(values) })),
      rows: { top: BOX.top, height: rowHeight },
    },
  };
}

/** The shade of a value: 0 for nothing, {@linkcode SHADES} for the greatest. */
export function shadeOf(value: number, most: number): number {
  return most === 0 ? 0 : Math.ceil(SHADES * value / most - 1e-9);
}

/** What each shade goes up to. */
function shadeLegend(most: number, unit: string): Record<string, string> {
  if (most === 0) return {};
  const bounds = Array.from({ length: SHADES }, (_, i) => figure(rounded(most * (i + 1) / SHADES, 3)));
  return Object.fromEntries(bounds.map((bound, i) => [`h${i + 1}`, `≤ ${bound}${unit}`]));
}

/** One path for each shade; columns of the same shade that follow each other are one rectangle. */
function shadedRow(
  values: ArrayLike<number>,
  most: number,
  step: number,
  top: number,
  height: number,
  drawing: number,
): Markup[] {
  const paths = new Array<string>(SHADES + 1).fill("");
  const middle = px(Math.min(top + height / 2, bottomOf(drawing)));
  for (let from = 0, to = 0; from < values.length; from = to) {
    const shade = shadeOf(values[from]!, most);
    while (to < values.length && shadeOf(values[to]!, most) === shade) to++;
    if (shade > 0) paths[shade] += `M${columnPlace(from, step)} ${middle}H${columnPlace(to, step)}`;
  }
  return paths.flatMap((d, shade) =>
    d === "" ? [] : [tag("path", { class: `shade h${shade}`, "stroke-width": height, d })]
  );
}

function rowTicks(rows: readonly HeatRow[], height: number): Tick[] {
  const places = rows.length === 1 ? [0] : ticksBetween(0, rows.length - 1, 8);
  return places.filter(Number.isInteger).map((row) => (
    { label: rows[row]!.name, at: BOX.top + (row + 0.5) * height }
  ));
}

/** Neighbours share a row when there are too many. */
function joinRows(rows: readonly HeatRow[]): HeatRow[] {
  const joined = Math.ceil(rows.length / MOST_ROWS);
  if (joined <= 1) return [...rows];
  return Array.from({ length: Math.ceil(rows.length / joined) }, (_, i) => {
    const part = rows.slice(i * joined, (i + 1) * joined);
    const values = part[0]!.values.map((_, column) =>
      part.reduce((sum, row) => sum + row.values[column]!, 0) / part.length
    );
    return { name: part.length === 1 ? part[0]!.name : `${part[0]!.name}–${part.at(-1)!.name}`, values };
  });
}

function joinColumns(values: Float64Array, joined: number): Float64Array {
  if (joined <= 1) return values;
  return Float64Array.from({ length: Math.ceil(values.length / joined) }, (_, i) => {
    const part = values.subarray(i * joined, (i + 1) * joined);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}
