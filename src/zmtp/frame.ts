/**
 * Frames: bytes in any pieces become frames, messages become bytes. Lengths are big-endian.
 *
 * @module
 */
import { ZmtpError } from "./error.ts";

const MORE = 1;
const LONG = 2;
const COMMAND = 4;
/** Longest body with a length of one byte. @unit bytes */
const SHORT_BYTES = 255;
const EMPTY = new Uint8Array(0);

/** Called for each frame. The body is valid during the call only. */
export type TakeFrame = (body: Uint8Array, isCommand: boolean, hasMore: boolean) => void;

/** Splits a byte stream into frames. It holds at most one frame, and no more of it than has arrived, twice over. */
export class FrameDecoder {
  /** Longest body taken; may be changed at any time and holds from the next frame. @unit bytes */
  maxFrameBytes: number;
  /** Flags and length of a frame, as far as they arrived. */
  readonly #head = new Uint8Array(9);
  #headLength = 0;
  /** Body of a frame that did not arrive at once. */
  #body: Uint8Array = EMPTY;
  #bodyLength = 0;
  /** Length of that body, or -1 while the head is incomplete. */
  #need = -1;

  /** Makes a decoder. @param maxFrameBytes Longest body taken, in bytes. */
  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  /**
   * Adds bytes and calls `take` for each frame completed by them.
   *
   * @throws {ZmtpError} `protocol` or `limit`; the stream is unusable then.
   */
  push(bytes: Uint8Array, take: TakeFrame): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#need < 0) {
        at = this.#pushHead(bytes, at);
        if (this.#need < 0) return;
      }
      at = this.#pushBody(bytes, at, take);
    }
  }

  /** Takes bytes of the head and returns where they end. */
  #pushHead(bytes: Uint8Array, at: number): number {
    const head = this.#head;
    while (at < bytes.length) {
      head[this.#headLength++] = bytes[at++]!;
      if (this.#headLength === 1) checkFlags(head[0]!);
      else if (this.#headLength === ((head[0]! & LONG) === 0 ? 2 : 9)) {
        this.#begin();
        // An empty body needs no further byte.
        break;
      }
    }
    return at;
  }

  #begin(): void {
    const head = this.#head;
    let length = head[1]!;
    // Beyond 2^53 it is rounded, which is far above every limit.
    for (let i = 2; i < this.#headLength; i++) length = length * 256 + head[i]!;
    if (length > this.maxFrameBytes) {
      throw new ZmtpError("limit", `The peer announces a frame of ${length} bytes (max: ${this.maxFrameBytes} bytes)`);
    }
    this.#need = length;
  }

  #pushBody(bytes: Uint8Array, at: number, take: TakeFrame): number {
    const end = Math.min(bytes.length, at + this.#need - this.#bodyLength);
    if (this.#bodyLength + end - at < this.#need) {
      this.#store(bytes.subarray(at, end));
      return end;
    }
    let body = bytes.subarray(at, end);
    if (this.#bodyLength > 0) {
      this.#store(body);
      body = this.#body.subarray(0, this.#need);
    }
    const flags = this.#head[0]!;
    this.#body = EMPTY;
    this.#bodyLength = this.#headLength = 0;
    this.#need = -1;
    take(body, (flags & COMMAND) !== 0, (flags & MORE) !== 0);
    return end;
  }

  #store(part: Uint8Array): void {
    const length = this.#bodyLength + part.length;
    if (length > this.#body.length) {
      const grown = new Uint8Array(Math.min(this.#need, Math.max(2 * this.#body.length, length)));
      grown.set(this.#body.subarray(0, this.#bodyLength));
      this.#body = grown;
    }
    this.#body.set(part, this.#bodyLength);
    this.#bodyLength = length;
  }
}

function checkFlags(flags: number): void {
  if (flags > (MORE | LONG | COMMAND) || (flags & (COMMAND | MORE)) === (COMMAND | MORE)) {
    throw new ZmtpError("protocol", `The peer sent a frame with flags 0x${flags.toString(16).padStart(2, "0")}`);
  }
}

/** Bytes that {@linkcode writeMessage} will write. */
export function messageLength(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length + (part.length > SHORT_BYTES ? 9 : 2);
  return length;
}

/** Writes a message as its frames and returns where they end. There must be room. */
export function writeMessage(bytes: Uint8Array, at: number, parts: readonly Uint8Array[]): number {
  const last = parts.length - 1;
  for (let i = 0; i <= last; i++) at = writeFrame(bytes, at, i < last ? MORE : 0, parts[i]!);
  return at;
}

/** Encodes a message of one or more parts. */
export function encodeMessage(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(messageLength(parts));
  writeMessage(bytes, 0, parts);
  return bytes;
}

/** Encodes a command's frame around its body. */
export function encodeCommandFrame(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(messageLength([body]));
  writeFrame(bytes, 0, COMMAND, body);
  return bytes;
}

function writeFrame(bytes: Uint8Array, at: number, flags: number, body: Uint8Array): number {
  const { length } = body;
  if (length <= SHORT_BYTES) {
    bytes[at++] = flags;
  } else {
    bytes[at++] = flags | LONG;
    // No array is as long as 2^53.
    const high = Math.floor(length / 2 ** 32);
    for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = high >>> shift;
    for (let shift = 24; shift > 0; shift -= 8) bytes[at++] = length >>> shift;
  }
  bytes[at++] = length;
  // A loop beats `set` on short parts, which topics, ids and sequences are.
  if (length < 32) { for (let i = 0; i < length; i++) bytes[at + i] = body[i]!; }
  else bytes.set(body, at);
  return at + length;
}
