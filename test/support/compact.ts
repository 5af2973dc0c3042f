/**
 * What the general encoder needs to write integers in their shortest form.
 *
 * @module
 */

/** The value with each `bigint` below 2^32 as a Number. */
export function compact(value: unknown): unknown {
  if (typeof value === "bigint") return value < 2n ** 32n ? Number(value) : value;
  if (Array.isArray(value)) return value.map(compact);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, compact(item)]));
}
