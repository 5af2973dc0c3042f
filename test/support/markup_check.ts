/**
 * Reads markup strictly, as no browser does.
 *
 * @module
 */

/** An element. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  /** Text in it, that of its elements included, with entities read. */
  text: string;
}

const TOKEN = /<(\/?)([a-z0-9]+)((?: [\w:-]+="[^"<>]*")*)>|<!DOCTYPE html>|([^<]+)/gy;
/** Elements that have no end, and elements whose text is not markup. */
const [VOID, RAW] = [["meta"], ["script", "style"]];

/** The elements of a page; what is not well-formed is an error. */
export function parseMarkup(html: string): Element {
  const root: Element = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  for (let at = 0; at < html.length;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(html);
    if (match === null) throw new Error(`not well-formed at ${at}: ${html.slice(at, at + 60)}`);
    at = TOKEN.lastIndex;
    const [whole, slash, name, words, text] = match;
    if (text !== undefined) {
      if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(text)) throw new Error(`a bare & in ${text}`);
      for (const each of open) each.text += decoded(text);
    } else if (name !== undefined && slash === "/") {
      if (open.pop()?.name !== name) throw new Error(`${whole} at ${at} ends something else`);
    } else if (name !== undefined) {
      const attributes = Object.fromEntries(
        [...words!.matchAll(/ ([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [key!, decoded(value!)]),
      );
      const element: Element = { name, attributes, children: [], text: "" };
      open.at(-1)!.children.push(element);
      if (RAW.includes(name)) {
        const end = html.indexOf(`</${name}>`, at);
        element.text = html.slice(at, end);
        at = end + name.length + 3;
      } else if (!VOID.includes(name)) open.push(element);
    }
  }
  if (open.length !== 1) throw new Error(`${open.at(-1)!.name} does not end`);
  return root;
}

/** All elements of a name below another, in order. */
export function elements(root: Element, name: string): Element[] {
  return root.children.flatMap((child) => [...child.name === name ? [child] : [], ...elements(child, name)]);
}

function decoded(text: string): string {
  const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => entities[name]!);
}
