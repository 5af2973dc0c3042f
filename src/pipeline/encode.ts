/**
 * Chunks and errors as frames of the response plane.
 *
 * @module
 */
import { DynamoError } from "../protocol/error.ts";
import { TWO_PART_PREFIX_BYTES, writeTwoPartPrefix } from "../protocol/frame.ts";
import { type FinishReason, type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import { encodeMsgpack, encodeText, stringifyJson } from "../protocol/payload.ts";
import type { PayloadCodec } from "../protocol/record.ts";
import type { SendBuffer } from "../protocol/send_buffer.ts";

/** An item with an encoder of its own. */
export class EncodedItem {
  /** The body of its frame, wrapped as every item is. */
  readonly encode: (codec: PayloadCodec) => Uint8Array;

  constructor(encode: (codec: PayloadCodec) => Uint8Array) {
    this.encode = encode;
  }
}

/** One item of a response: a chunk of an engine, an item of an endpoint that is none, or an error. */
export type Item = object | EncodedItem | DynamoError;

/**
 * Writes one item as one frame.
 *
 * @throws {DynamoError} `InvalidArgument`, without public text, if a chunk cannot be written.
 */
export function encodeItem(buffer: SendBuffer, item: Item, codec: PayloadCodec): void {
  if (item instanceof DynamoError) return encodeAny(buffer, { event: "error", error: item.toWire() }, codec);
  const ids = plainTokens(item);
  if (item instanceof EncodedItem) return writeFrame(buffer, item.encode(codec));
  if (ids === null) return encodeAny(buffer, { data: toWire(item as GenerateChunk) }, codec);
  if (codec === "msgpack") encodeTokensMsgpack(buffer, ids);
  else encodeTokensJson(buffer, ids);
}

function encodeAny(buffer: SendBuffer, data: unknown, codec: PayloadCodec): void {
  const wrapper = { data, complete_final: false };
  writeFrame(buffer, codec === "msgpack" ? encodeMsgpack(wrapper) : encodeText(stringifyJson(wrapper)));
}

function writeFrame(buffer: SendBuffer, body: Uint8Array): void {
  const start = buffer.reserve(TWO_PART_PREFIX_BYTES + body.length);
  writeTwoPartPrefix(buffer.bytes, start, 0, body.length);
  buffer.bytes.set(body, start + TWO_PART_PREFIX_BYTES);
}

/** Fields a worker writes on every chunk, in the order of the reference. @source dynamo-llm 1.6.1, `LLMEngineOutput` */
function toWire(chunk: GenerateChunk): Record<string, unknown> {
  const { token_ids, tokens, text, cum_log_probs, log_probs, top_logprobs, finish_reason, index, ...rest } = chunk;
  checkTokenIds(token_ids);
  const { output_type = "text", stop_reason, ...others } = rest;
  return {
    token_ids,
    tokens: tokens ?? null,
    text: text ?? null,
    output_type,
    cum_log_probs: cum_log_probs ?? null,
    log_probs: log_probs ?? null,
    top_logprobs: top_logprobs ?? null,
    finish_reason: finish_reason === undefined || finish_reason === null ? null : checkedReason(finish_reason),
    ...(stop_reason === undefined ? {} : { stop_reason }),
    index: index ?? 0,
    ...others,
  };
}

/** A reason no frontend knows is refused as the reference worker does: a bad request without a text for clients. */
function checkedReason(reason: unknown): FinishReason {
  const known = normalizeFinishReason(reason);
  if (known !== null) return known;
  const text = `engine chunk has finish_reason ${stringifyJson(reason)}, which is none of Dynamo's`;
  throw new DynamoError("InvalidArgument", text, { publicMessage: null });
}

function checkTokenIds(ids: unknown): asserts ids is readonly number[] {
  if (!Array.isArray(ids) && !(ids instanceof Uint32Array)) {
    throw new DynamoError("InvalidArgument", "engine chunk has no token_ids array", { publicMessage: null });
  }
  for (const id of ids) {
    if (typeof id !== "number" || id >>> 0 !== id) {
      const text = `engine chunk has token id ${String(id)}, which is no unsigned 32-bit integer`;
      throw new DynamoError("InvalidArgument", text, { publicMessage: null });
    }
  }
}

/** The tokens of a chunk that holds nothing else, which is nearly all of them; else `null`. */
function plainTokens(item: object): readonly number[] | null {
  let ids: unknown = null;
  for (const key in item) {
    const value = (item as Record<string, unknown>)[key];
    if (key === "token_ids") ids = value;
    else if (key === "index" ? value !== 0 && value !== undefined : value !== null && value !== undefined) return null;
  }
  if (ids === null) return null;
  checkTokenIds(ids);
  return ids;
}

// The bytes around the ids never change, so they are taken once from the general encoder.
const EMPTY_CHUNK = { data: { data: toWire({ token_ids: [] }) }, complete_final: false };
const MSGPACK = splitAt(encodeMsgpack(EMPTY_CHUNK), encodeMsgpack("token_ids"), encodeMsgpack([]));
const JSON_TEXT = splitAt(encodeText(stringifyJson(EMPTY_CHUNK)), encodeText('"token_ids":'), encodeText("[]"));

/** What stands before and after the bytes of the empty array that follows `key`. */
function splitAt(bytes: Uint8Array, key: Uint8Array, empty: Uint8Array): { before: Uint8Array; after: Uint8Array } {
  for (let at = 0; at < bytes.length; at++) {
    if (key.every((byte, i) => bytes[at + i] === byte)) {
      const end = at + key.length;
      return { before: bytes.slice(0, end), after: bytes.slice(end + empty.length) };
    }
  }
  throw new Error("Cannot split the chunk template: key not found");
}

/** A frame of tokens; byte for byte what the general encoder would write. */
function encodeTokensMsgpack(buffer: SendBuffer, ids: readonly number[]): void {
  const count = ids.length;
  let length = count < 16 ? 1 : count < 0x1_0000 ? 3 : 5;
  for (let i = 0; i < count; i++) length += uintBytes(ids[i]!);
  const { before, after } = MSGPACK;
  let at = startFrame(buffer, before, length, after);
  const bytes = buffer.bytes;
  if (count < 16) bytes[at++] = 0x90 | count;
  else at = writeTagged(bytes, at, count < 0x1_0000 ? 0xdc : 0xdd, count);
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    if (id < 0x80) bytes[at++] = id;
    else at = writeTagged(bytes, at, id < 0x100 ? 0xcc : id < 0x1_0000 ? 0xcd : 0xce, id);
  }
}

function uintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : 5;
}

/** Writes a MessagePack type byte and its number, one, two or four bytes wide by the type. */
function writeTagged(bytes: Uint8Array, offset: number, tag: number, value: number): number {
  let at = offset;
  bytes[at++] = tag;
  if (tag === 0xce || tag === 0xdd) {
    bytes[at++] = value >>> 24;
    bytes[at++] = value >>> 16;
  }
  if (tag !== 0xcc) bytes[at++] = value >>> 8;
  bytes[at++] = value;
  return at;
}

function encodeTokensJson(buffer: SendBuffer, ids: readonly number[]): void {
  const array = encodeText(`[${ids.join(",")}]`);
  const { before, after } = JSON_TEXT;
  const at = startFrame(buffer, before, array.length, after);
  buffer.bytes.set(array, at);
}

/** Writes everything of a frame but `length` bytes in the middle and returns where these go. */
function startFrame(buffer: SendBuffer, before: Uint8Array, length: number, after: Uint8Array): number {
  const bodyLength = before.length + length + after.length;
  const start = buffer.reserve(TWO_PART_PREFIX_BYTES + bodyLength);
  writeTwoPartPrefix(buffer.bytes, start, 0, bodyLength);
  const middle = start + TWO_PART_PREFIX_BYTES + before.length;
  buffer.bytes.set(before, start + TWO_PART_PREFIX_BYTES);
  buffer.bytes.set(after, middle + length);
  return middle;
}
