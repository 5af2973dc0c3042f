/**
 * Reads objects whose fields are all known, and says where something else is.
 *
 * @module
 */

/** Reads one field. `path` says where it is. */
export type Field<T> = (value: unknown, path: string) => T;

/**
 * Reads the fields of an object; those that are not there are `undefined`.
 *
 * @param path Where the object is; empty for the outermost.
 * @throws {TypeError} If it is no object, has a field that is not in the table, or one of the wrong type.
 */
export function readFields<T extends Record<string, Field<unknown>>>(
  value: unknown,
  path: string,
  table: T,
): { [K in keyof T]: ReturnType<T[K]> | undefined } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${path === "" ? "Mocker config" : path} must be an object`);
  }
  const fields: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    const at = path === "" ? name : `${path}.${name}`;
    if (!Object.hasOwn(table, name)) {
      throw new TypeError(`${at}: unknown field \`${name}\`, expected one of ${quotedList(Object.keys(table))}`);
    }
    fields[name] = table[name]!(field, at);
  }
  return fields as { [K in keyof T]: ReturnType<T[K]> | undefined };
}

/** A whole number from 0. */
export function count(value: unknown, path: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`${path}: invalid ${shown(value)}, expected a whole number from 0`);
}

/** Any number. */
export function number(value: unknown, path: string): number {
  if (typeof value === "number") return value;
  throw new TypeError(`${path}: invalid ${shown(value)}, expected a number`);
}

/** True or false. */
export function boolean(value: unknown, path: string): boolean {
  if (typeof value === "boolean") return value;
  throw new TypeError(`${path}: invalid ${shown(value)}, expected a boolean`);
}

/** Text. */
export function text(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  throw new TypeError(`${path}: invalid ${shown(value)}, expected a string`);
}

/** Any value, left as it is. */
export function anything(value: unknown): unknown {
  return value;
}

/** One of some words. */
export function oneOf<const T extends readonly string[]>(...words: T): Field<T[number]> {
  return (value, path) => {
    if (typeof value === "string" && words.includes(value)) return value;
    const what = typeof value === "string" ? `unknown variant \`${value}\`` : `invalid ${shown(value)}`;
    throw new TypeError(`${path}: ${what}, expected one of ${quotedList(words)}`);
  };
}

/** The same or null. */
export function orNull<T>(field: Field<T>): Field<T | null> {
  return (value, path) => value === null ? null : field(value, path);
}

function quotedList(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}

function shown(value: unknown): string {
  if (value === null) return "type: null";
  if (typeof value === "number") return `value: ${value}`;
  return `type: ${typeof value} ${JSON.stringify(value)}`;
}
