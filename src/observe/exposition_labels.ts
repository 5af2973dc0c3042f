/**
 * The labels of samples in a text exposition, and adding to them.
 *
 * @module
 */

/** Checks the labels of samples and adds others to them. */
export interface SampleLabels {
  /**
   * Labels as they are to be written, with their braces; nothing if there are none.
   *
   * @param text What was written between the braces.
   * @returns `null` if that is malformed.
   */
  of(text: string): string | null;
}

const LABEL = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)/y;
const BLANK = /^[ \t]*$/;
/** Label sets that are remembered for a source. */
const MAX_KNOWN = 20_000;
/** Longest of them. @unit UTF-16 code units */
const MAX_KNOWN_LENGTH = 1000;

/**
 * Adds labels to those of each sample. One that the sample has already is left as it is. With something to add, all are
 * sorted by name; with nothing, they stay as they were written.
 *
 * @source dynamo-common 1.6.1, `label_injecting_collector.py`, `LabelInjectingCollector`
 */
export function injectLabels(added: Readonly<Record<string, string>>): SampleLabels {
  const injected = Object.entries(added).map(([name, value]): Pair => [name, escapeLabel(value)]);
  injected.sort(byName);
  const alone = write(injected);
  const add = (text: string): string | null => {
    const pairs = parseLabels(text);
    if (pairs === null || injected.length === 0) return pairs === null ? null : `{${text}}`;
    const names = new Set(pairs.map(([name]) => name));
    return write([...pairs, ...injected.filter(([name]) => !names.has(name))].sort(byName));
  };
  // From one scrape to the next, and from one family to the next, the labels are mostly the same.
  const known = new Map<string, string | null>();
  return {
    of(text) {
      if (BLANK.test(text)) return alone;
      const before = known.get(text);
      if (before !== undefined) return before;
      if (known.size === MAX_KNOWN) known.clear();
      const added = add(text);
      if (text.length <= MAX_KNOWN_LENGTH) known.set(text, added);
      return added;
    },
  };
}

/** A label's value as it stands between quotes. */
export function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (each) => each === "\n" ? "\\n" : `\\${each}`);
}

/** Name, and value still escaped. */
type Pair = readonly [name: string, value: string];

function parseLabels(text: string): Pair[] | null {
  const pairs: Pair[] = [];
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const from = LABEL.lastIndex;
    const match = LABEL.exec(text);
    // A comma may end the list.
    if (match === null) return pairs.length > 0 && BLANK.test(text.slice(from)) ? pairs : null;
    pairs.push([match[1]!, match[2]!]);
  }
  return pairs;
}

function byName([a]: Pair, [b]: Pair): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function write(pairs: readonly Pair[]): string {
  return pairs.length === 0 ? "" : `{${pairs.map(([name, value]) => `${name}="${value}"`).join(",")}}`;
}
