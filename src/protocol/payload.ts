/**
 * JSON and MessagePack without loss of 64-bit integers: what does not fit a Number is a `bigint`.
 *
 * @module
 */
import { Decoder, Encoder } from "@msgpack/msgpack";

// JSON.rawJSON and the reviver's third argument exist on Deno and Bun; TypeScript's library does not know them yet.
const json = JSON as unknown as {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  stringify(value: unknown, replacer: (key: string, value: unknown) => unknown): string;
};

const LONG_INTEGER = /\d{16}/;
const INTEGER = /^-?\d+$/;

/**
 * Parses JSON text; integers above 2^53 - 1 become `bigint`.
 *
 * @throws {SyntaxError} If the text is not JSON.
 */
export function parseJson(text: string): unknown {
  // A reviver costs tens of times a plain parse on long token lists, so it is used only where a long integer can be.
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  return json.parse(text, (_key, value, { source }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    return source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
  });
}

/** Writes compact JSON; `bigint` becomes an integer of all its digits, typed arrays become arrays. */
export function stringifyJson(value: unknown): string {
  return json.stringify(value, (_key, item) => {
    if (typeof item === "bigint") return json.rawJSON(item.toString());
    return ArrayBuffer.isView(item) && !(item instanceof DataView) ? Array.from(item as Uint8Array) : item;
  });
}

const encoder = new Encoder({ useBigInt64: true, ignoreUndefined: true });
const decoder = new Decoder({ useBigInt64: true });

/**
 * Encodes a value as MessagePack: structs as maps with string keys, integers as integers, `undefined` members left out.
 *
 * A Number above 2^32 would become a float64, so a field that may hold one must be a `bigint`.
 */
export function encodeMsgpack(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/**
 * Decodes one MessagePack value; 64-bit integers become `bigint`, whatever their size.
 *
 * @throws {RangeError} If bytes are missing or left over.
 */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}

const utf8 = new TextEncoder();
const utf8Strict = new TextDecoder("utf-8", { fatal: true });

/** UTF-8 bytes of a text. */
export function encodeText(text: string): Uint8Array {
  return utf8.encode(text);
}

/**
 * Text of UTF-8 bytes.
 *
 * @throws {TypeError} If the bytes are not UTF-8.
 */
export function decodeText(bytes: Uint8Array): string {
  return utf8Strict.decode(bytes);
}
