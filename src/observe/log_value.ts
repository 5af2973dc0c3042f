/**
 * Values of log fields as text that stays on its line, whatever they are.
 *
 * @module
 */

// JSON.rawJSON exists on Deno and Bun; TypeScript's library does not know it yet.
const json = JSON as unknown as { rawJSON(text: string): object };

/** Longest text of a message or a field. @unit bytes of UTF-8 */
const MAX_TEXT_BYTES = 16 * 1024;
/** Most items of a list, and most levels of nesting, that are shown. */
const MAX_ITEMS = 100;
const MAX_DEPTH = 8;
/** Most causes of an error that are followed; a chain may be a circle. */
const MAX_CAUSES = 8;
const UNPRINTABLE = "[unprintable]";

const encoder = new TextEncoder();
const room = new Uint8Array(MAX_TEXT_BYTES);

/** Breaks lines, moves the cursor or turns the direction of writing: C0, DEL and C1, separators, bidi controls. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** Text that needs no quotes among `name=value` fields. */
const SIMPLE = /^[\w.:/@+-]+$/;

/** A text, cut if it is too long, in which nothing can end the line or act on a terminal. */
export function plainText(text: string): string {
  return escapeControls(cut(text));
}

/** A value as JSON; `undefined` if there is nothing to show. It never throws. */
export function jsonValue(value: unknown): string | undefined {
  try {
    const text = stringify(value);
    if (text === undefined) return undefined;
    // A part of a list or an object is no JSON any more, so it becomes a text. Texts themselves are cut already.
    const isWhole = text.startsWith('"') || cut(text) === text;
    return escapeControls(isWhole ? text : JSON.stringify(cut(text)));
  } catch {
    return JSON.stringify(UNPRINTABLE);
  }
}

/** A value among `name=value` fields: simple texts as they are, the rest as JSON; `undefined` if there is none. */
export function readableValue(value: unknown): string | undefined {
  return typeof value === "string" && SIMPLE.test(value) ? cut(value) : jsonValue(value);
}

/**
 * An error in one sentence: name and message, then those of its causes, unless they are in what is already said.
 *
 * A parser's error quotes what it parsed, which may be a prompt, so of such a cause only the name is told.
 */
export function describeError(error: Error): string {
  let text = `${error.name}: ${error.message}`;
  if (error instanceof AggregateError) text += ` [${error.errors.slice(0, MAX_CAUSES).map(briefly).join("; ")}]`;
  let { cause } = error;
  for (let i = 0; i < MAX_CAUSES && cause !== undefined && cause !== null; i++) {
    const said = briefly(cause);
    const core = cause instanceof Error && cause.message !== "" ? cause.message : said;
    if (!text.includes(core)) text += `; caused by ${said}`;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return text;
}

function briefly(cause: unknown): string {
  if (cause instanceof SyntaxError) return cause.name;
  if (cause instanceof Error) return `${cause.name}: ${cause.message}`;
  return typeof cause === "object" ? "an object" : String(cause);
}

function stringify(value: unknown): string | undefined {
  const path: unknown[] = [];
  return JSON.stringify(value, function (this: Record<string, unknown>, name: string, item: unknown): unknown {
    while (path.length > 0 && path[path.length - 1] !== this) path.pop();
    // Before its toJSON(), which would spell bytes out.
    const given = this[name];
    const shown = printable(given instanceof Error || ArrayBuffer.isView(given) ? given : item);
    if (typeof shown !== "object" || shown === null || typeof item === "bigint") return shown;
    if (path.includes(shown)) return "[circular]";
    if (path.length >= MAX_DEPTH) return "[nested too deep]";
    path.push(shown);
    return shown;
  });
}

/** What JSON can show of a value. Bytes and packed token ids are content, which no log holds. */
function printable(value: unknown): unknown {
  switch (typeof value) {
    case "string":
      return cut(value);
    case "bigint":
      return json.rawJSON(String(value));
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "symbol":
      return String(value);
    case "function":
      return `[function ${value.name}]`;
    case "object":
      break;
    default:
      return value;
  }
  if (value instanceof Error) return cut(describeError(value));
  if (ArrayBuffer.isView(value)) return `[${value.constructor.name} of ${value.byteLength} bytes]`;
  if (value instanceof Map) return printable([...value]);
  if (value instanceof Set) return printable([...value]);
  if (!Array.isArray(value) || value.length <= MAX_ITEMS) return value;
  return [...value.slice(0, MAX_ITEMS), `[${value.length - MAX_ITEMS} more]`];
}

function cut(text: string): string {
  // A UTF-16 unit becomes three bytes at most.
  if (text.length * 3 <= MAX_TEXT_BYTES) return text;
  const { read } = encoder.encodeInto(text, room);
  return read === text.length ? text : `${text.slice(0, read)}… [${text.length - read} more characters]`;
}

function escapeControls(text: string): string {
  return text.replace(CONTROL, (one) => {
    if (one === "\n") return "\\n";
    return one === "\t" ? "\\t" : `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
