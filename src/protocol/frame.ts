/**
 * Framings: bytes in any pieces become frames, frames become bytes. All integers are big-endian.
 *
 * @module
 */

/** Collects bytes that arrive in pieces; keeps only what is not yet consumed. */
class ByteQueue {
  #bytes: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Adds bytes. When nothing is waiting they are used in place, without a copy, until {@linkcode keep}. */
  push(bytes: Uint8Array): void {
    if (this.length === 0) {
      this.#bytes = bytes;
      this.#start = 0;
      this.#end = bytes.length;
      return;
    }
    const length = this.length + bytes.length;
    // What waits is always our own copy here, see keep(), so there may be room behind it.
    if (this.#end + bytes.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.length, length));
      grown.set(this.#bytes.subarray(this.#start, this.#end));
      this.#end = this.length;
      this.#start = 0;
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Makes what is left our own, since pushed bytes belong to the caller after the push. */
  keep(owned: Uint8Array): void {
    if (this.length === 0) {
      this.#bytes = EMPTY;
      this.#start = this.#end = 0;
    } else if (this.#bytes === owned) {
      this.#bytes = owned.slice(this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
  }

  u16(offset: number): number {
    const at = this.#start + offset;
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  u32(offset: number): number {
    return this.u16(offset) * 0x1_0000 + this.u16(offset + 2);
  }

  /** A u64 as a Number; beyond 2^53 it is rounded, which is far above every limit it is compared with. */
  u64(offset: number): number {
    return this.u32(offset) * 0x1_0000_0000 + this.u32(offset + 4);
  }

  view(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(this.#start + offset, this.#start + offset + length);
  }

  skip(length: number): void {
    this.#start += length;
  }
}

const EMPTY = new Uint8Array(0);

/** A request as it comes over TCP. Its views are valid until the parser is given more bytes. */
export interface RequestFrame {
  /** Routing key, UTF-8. */
  readonly path: Uint8Array;
  /** JSON object of strings, UTF-8; may be empty. */
  readonly headers: Uint8Array;
  /** Two-part envelope. */
  readonly payload: Uint8Array;
}

/**
 * Splits the frontend's byte stream into request frames.
 *
 * @source dynamo-runtime 1.6.1, tcp request plane: u16 path length, path, u16 header length, headers, u32 payload
 * length, payload
 */
export class RequestFrameParser {
  readonly #queue = new ByteQueue();
  readonly #maxFrameBytes: number;

  /** Makes a parser. @param maxFrameBytes Longest frame taken, its headers included, in bytes. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes of a frame that is not complete yet. */
  get pendingBytes(): number {
    return this.#queue.length;
  }

  /**
   * Adds bytes and calls `take` for each frame completed by them; keeps the rest for the next call.
   *
   * @throws {RangeError} If a frame announces more than the limit; the connection is unusable then.
   */
  push(bytes: Uint8Array, take: (frame: RequestFrame) => void): void {
    const queue = this.#queue;
    queue.push(bytes);
    while (queue.length >= 2) {
      const pathLength = queue.u16(0);
      if (queue.length < 4 + pathLength) break;
      const headersLength = queue.u16(2 + pathLength);
      const lengthAt = 4 + pathLength + headersLength;
      if (queue.length < lengthAt + 4) break;
      const payloadLength = queue.u32(lengthAt);
      const total = lengthAt + 4 + payloadLength;
      if (total > this.#maxFrameBytes) {
        throw new RangeError(`message too large: ${total} bytes (max: ${this.#maxFrameBytes} bytes)`);
      }
      if (queue.length < total) break;
      const path = queue.view(2, pathLength);
      const headers = queue.view(4 + pathLength, headersLength);
      const payload = queue.view(lengthAt + 4, payloadLength);
      queue.skip(total);
      take({ path, headers, payload });
    }
    queue.keep(bytes);
  }
}

/** Encodes a request frame. */
export function encodeRequestFrame(frame: RequestFrame): Uint8Array {
  const { path, headers, payload } = frame;
  const bytes = new Uint8Array(8 + path.length + headers.length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, path.length);
  bytes.set(path, 2);
  view.setUint16(2 + path.length, headers.length);
  bytes.set(headers, 4 + path.length);
  view.setUint32(4 + path.length + headers.length, payload.length);
  bytes.set(payload, 8 + path.length + headers.length);
  return bytes;
}

/** Splits the worker's byte stream into acknowledgements, in the order of the requests. */
export class AckParser {
  readonly #queue = new ByteQueue();
  readonly #maxFrameBytes: number;

  /** Makes a parser. @param maxFrameBytes Longest acknowledgement taken, in bytes. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Adds bytes and calls `take` for each acknowledgement; an empty one means accepted.
   *
   * @throws {RangeError} If one announces more than the limit.
   */
  push(bytes: Uint8Array, take: (data: Uint8Array) => void): void {
    const queue = this.#queue;
    queue.push(bytes);
    while (queue.length >= 4) {
      const length = queue.u32(0);
      if (length + 4 > this.#maxFrameBytes) throw new RangeError(`acknowledgement too large: ${length} bytes`);
      if (queue.length < 4 + length) break;
      const data = queue.view(4, length);
      queue.skip(4 + length);
      take(data);
    }
    queue.keep(bytes);
  }
}

/** Encodes an acknowledgement; no data means accepted. */
export function encodeAck(data: Uint8Array = EMPTY): Uint8Array {
  const bytes = new Uint8Array(4 + data.length);
  new DataView(bytes.buffer).setUint32(0, data.length);
  bytes.set(data, 4);
  return bytes;
}

/** A header and a body, either of which may be empty. Its views are valid until the parser is given more bytes. */
export interface TwoPartFrame {
  /** JSON, UTF-8. */
  readonly header: Uint8Array;
  /** Payload in the request's codec. */
  readonly body: Uint8Array;
}

/** Bytes before the header of a two-part frame: two lengths and a checksum, u64 each. */
export const TWO_PART_PREFIX_BYTES = 24;

/**
 * Splits a byte stream into two-part frames. Checksums are not verified, as in the reference's release builds.
 *
 * @source dynamo-runtime 1.6.1, `two_part.rs`: u64 header length, u64 body length, u64 checksum (0 = none), header, body
 */
export class TwoPartParser {
  readonly #queue = new ByteQueue();
  readonly #maxFrameBytes: number;

  /** Makes a parser. @param maxFrameBytes Longest frame taken, in bytes. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Adds bytes and calls `take` for each frame completed by them; keeps the rest for the next call.
   *
   * @throws {RangeError} If a frame announces more than the limit; the connection is unusable then.
   */
  push(bytes: Uint8Array, take: (frame: TwoPartFrame) => void): void {
    const queue = this.#queue;
    queue.push(bytes);
    while (queue.length >= TWO_PART_PREFIX_BYTES) {
      const headerLength = queue.u64(0);
      const total = TWO_PART_PREFIX_BYTES + headerLength + queue.u64(8);
      if (total > this.#maxFrameBytes) {
        throw new RangeError(`frame too large: ${total} bytes (max: ${this.#maxFrameBytes} bytes)`);
      }
      if (queue.length < total) break;
      const header = queue.view(TWO_PART_PREFIX_BYTES, headerLength);
      const body = queue.view(TWO_PART_PREFIX_BYTES + headerLength, total - TWO_PART_PREFIX_BYTES - headerLength);
      queue.skip(total);
      take({ header, body });
    }
    queue.keep(bytes);
  }
}

/** Decodes bytes that are exactly one two-part frame; `null` if they are not. */
export function decodeTwoPart(bytes: Uint8Array): TwoPartFrame | null {
  let only: TwoPartFrame | null = null;
  let count = 0;
  try {
    new TwoPartParser(bytes.length).push(bytes, (frame) => {
      only = frame;
      count++;
    });
  } catch {
    return null;
  }
  const frame = only as TwoPartFrame | null;
  if (count !== 1 || frame === null) return null;
  return TWO_PART_PREFIX_BYTES + frame.header.length + frame.body.length === bytes.length ? frame : null;
}

/** Encodes a two-part frame, without a checksum. */
export function encodeTwoPart(header: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(TWO_PART_PREFIX_BYTES + header.length + body.length);
  writeTwoPartPrefix(bytes, 0, header.length, body.length);
  bytes.set(header, TWO_PART_PREFIX_BYTES);
  bytes.set(body, TWO_PART_PREFIX_BYTES + header.length);
  return bytes;
}

/** Writes the lengths and the empty checksum of a two-part frame at `offset`. */
export function writeTwoPartPrefix(bytes: Uint8Array, offset: number, headerLength: number, bodyLength: number): void {
  bytes.fill(0, offset, offset + TWO_PART_PREFIX_BYTES);
  writeU32(bytes, offset + 4, headerLength);
  writeU32(bytes, offset + 12, bodyLength);
}

function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
