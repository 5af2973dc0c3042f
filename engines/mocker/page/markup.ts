/**
 * HTML and SVG as text, with everything escaped that is not markup.
 *
 * @module
 */

/** A piece of markup; strings in its place are text. */
export class Markup {
  /** The markup. */
  readonly text: string;

  /** Takes text that is markup already. */
  constructor(text: string) {
    this.text = text;
  }
}

/** What an element may hold. */
export type Content = Markup | string | number | readonly Content[] | undefined;

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
/** Elements of HTML that have no end. */
const VOID = new Set(["meta"]);

/** Text as markup. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** An element; attributes that are `undefined` are left out. */
export function tag(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  ...content: readonly Content[]
): Markup {
  const words = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${escaped(`${value}`)}"`]
  );
  const head = `<${name}${words.join("")}>`;
  return new Markup(VOID.has(name) ? head : `${head}${content.map(rendered).join("")}</${name}>`);
}

/** A value for a script of the page, which no text in it can end. */
export function scriptJson(value: unknown): Markup {
  return new Markup(JSON.stringify(value).replaceAll("<", "\\u003c"));
}

/** A table with a heading line; numbers are aligned to the right. */
export function table(caption: string, heads: readonly Content[], rows: readonly (readonly Content[])[]): Markup {
  return tag("table", {}, [
    tag("caption", {}, caption),
    tag("thead", {}, tag("tr", {}, heads.map((head) => tag("th", { scope: "col" }, head)))),
    tag(
      "tbody",
      {},
      rows.map(([first, ...cells]) =>
        tag("tr", {}, tag("th", { scope: "row" }, first), cells.map((cell) => tag("td", {}, cell)))
      ),
    ),
  ]);
}

function rendered(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  return typeof content === "object" ? content.map(rendered).join("") : escaped(`${content}`);
}
