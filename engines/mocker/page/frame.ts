/**
 * The frame of a plot: axes, grid, words for those who do not see it.
 *
 * @module
 */
import { type Content, type Markup, tag } from "./markup.ts";
import { figure } from "./scale.ts";

/** Size of a plot and the place of its axes, in units of the drawing. */
export const BOX = { width: 480, height: 236, left: 50, right: 470, top: 22, bottom: 194 } as const;

/** A tick and where it is, in units of the drawing. */
export interface Tick {
  /** What it says. */
  readonly label: string;
  /** Where it is. */
  readonly at: number;
}

/** A plot and all that belongs to it. */
export interface Plot {
  /** Its name in the page. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** What is shown, in a sentence or two. */
  readonly description: string;
  /** The drawing. */
  readonly drawing: Markup;
  /** Classes of what is drawn and what each stands for; none if there is nothing to tell apart. */
  readonly legend: Readonly<Record<string, string>>;
  /** The same values in words. */
  readonly table: Markup;
  /** What a pointer is told. */
  readonly hover: Hover;
}

/** Values under a pointer. */
export interface Hover {
  /** Where the first column begins, in units of the drawing. */
  readonly left: number;
  /** Width of a column, in units of the drawing. */
  readonly step: number;
  /** Edges of the columns, one more than there are columns, in `unit`. */
  readonly edges: readonly number[];
  /** Unit of the edges. */
  readonly unit: string;
  /** Values by column, of each line of the tooltip. */
  readonly lines: readonly HoverLine[];
  /** Only the line of the row under the pointer is told: where the rows begin, and how high each is. */
  readonly rows?: { readonly top: number; readonly height: number };
}

/** One line of a tooltip. */
export interface HoverLine {
  /** Whose values. */
  readonly name: string;
  /** Unit of the values, with a space before it unless it is empty. */
  readonly unit: string;
  /** By column. */
  readonly values: readonly number[];
  /** Least by column, where that differs. */
  readonly min?: readonly number[];
  /** Greatest by column. */
  readonly max?: readonly number[];
}

/** What a frame shows besides lines. */
export interface FrameParts {
  /** Name of the plot. */
  readonly id: string;
  /** Heading. */
  readonly title: string;
  /** For those who do not see it. */
  readonly description: string;
  /** What the horizontal axis shows, with its unit. */
  readonly xLabel: string;
  /** What the vertical axis shows, with its unit. */
  readonly yLabel: string;
  /** Ticks below. */
  readonly x: readonly Tick[];
  /** Ticks on the left. */
  readonly y: readonly Tick[];
  /** Height of the drawing. @default BOX.height */
  readonly height?: number;
}

/** Draws a frame around the lines of a plot. */
export function frame(parts: FrameParts, ...content: readonly Content[]): Markup {
  const { id, title, description, xLabel, yLabel, x, y, height = BOX.height } = parts;
  const { left, right, top } = BOX;
  const bottom = bottomOf(height);
  const label = (at: Readonly<Record<string, string | number>>, text: string) => tag("text", at, text);
  return tag(
    "svg",
    {
      viewBox: `0 0 ${BOX.width} ${height}`,
      role: "img",
      tabindex: 0,
      "data-plot": id,
      "aria-labelledby": `${id}-title ${id}-desc`,
    },
    tag("title", { id: `${id}-title` }, title),
    tag("desc", { id: `${id}-desc` }, description),
    y.map(({ at, label: text }) => [
      tag("path", { class: "grid", d: `M${left} ${px(at)}H${right}` }),
      label({ class: "y", x: left - 6, y: px(at + 4) }, text),
    ]),
    x.map(({ at, label: text }) => [
      tag("path", { class: "grid", d: `M${px(at)} ${bottom}v4` }),
      label({ class: "x", x: px(at), y: bottom + 17 }, text),
    ]),
    content,
    tag("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }),
    label({ class: "name", x: 4, y: 12 }, yLabel),
    label({ class: "x name", x: (left + right) / 2, y: height - 5 }, xLabel),
    tag("path", { class: "cursor", d: `M0 ${top}V${bottom}`, visibility: "hidden" }),
  );
}

/** Where the horizontal axis of a drawing is. */
export function bottomOf(height: number): number {
  return height - (BOX.height - BOX.bottom);
}

/** A legend of lines, which have their colours by number. */
export function lineLegend(names: readonly string[]): Record<string, string> {
  return names.length < 2 ? {} : Object.fromEntries(names.map((name, i) => [`s${i}`, name]));
}

/** Ticks of the vertical axis, which ends at the last of them. */
export function verticalTicks(values: readonly number[]): Tick[] {
  return values.map((value) => ({ label: figure(value), at: verticalPlace(value, values.at(-1)!) }));
}

/** Where a value is on the vertical axis. */
export function verticalPlace(value: number, max: number): number {
  return BOX.bottom - (BOX.bottom - BOX.top) * value / max;
}

/**
 * The part of a path that goes through one step a column, from the edge before the first to that after the last.
 *
 * @param top The value at the upper end of the vertical axis.
 * @param back Whether to go from the last to the first.
 */
export function steps(values: ArrayLike<number>, step: number, top: number, back = false): string {
  const count = values.length;
  let path = "";
  let last: number | undefined;
  for (let i = 0; i < count; i++) {
    const column = back ? count - 1 - i : i;
    const y = px(verticalPlace(values[column]!, top));
    if (y === last) continue;
    path += `${last === undefined ? "" : `H${columnPlace(back ? column + 1 : column, step)}`}V${y}`;
    last = y;
  }
  return `${path}H${columnPlace(back ? 0 : count, step)}`;
}

/** Where a column begins; the last one may be cut. */
export function columnPlace(column: number, step: number): number {
  return px(Math.min(BOX.left + column * step, BOX.right));
}

/** A place in a drawing, to a tenth. */
export function px(value: number): number {
  return Math.round(value * 10) / 10;
}
