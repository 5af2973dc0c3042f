/**
 * MessagePack written piece by piece, for messages whose shape is known.
 *
 * @module
 */
import { encodeText } from "./payload.ts";

const FIRST_BYTES = 1024;
const TWO_32 = 2 ** 32;

/**
 * Writes MessagePack in the shortest form of every value, which is also what the reference encoder writes. The caller
 * sees to it that maps and arrays get as many members as they announce.
 */
export class MsgpackWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;

  /** Bytes written. */
  get length(): number {
    return this.#end;
  }

  /** Forgets what was written; the room is used again. */
  clear(): void {
    this.#end = 0;
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#end);
  }

  /** Announces a map. */
  map(members: number): void {
    this.#collection(members, 0x80, 0xde);
  }

  /** Announces an array. */
  array(items: number): void {
    this.#collection(items, 0x90, 0xdc);
  }

  /** Adds bytes that are MessagePack already, such as keys. */
  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Writes a text. */
  text(value: string): void {
    const bytes = encodeText(value);
    if (bytes.length < 32) this.#bytes[this.#reserve(1)] = 0xa0 | bytes.length;
    else this.#sized(bytes.length, 0xd9);
    this.raw(bytes);
  }

  /** Writes bytes as bytes. */
  bin(bytes: Uint8Array): void {
    this.#sized(bytes.length, 0xc4);
    this.raw(bytes);
  }

  /** Writes nothing. */
  nil(): void {
    this.#bytes[this.#reserve(1)] = 0xc0;
  }

  /** Writes a truth value. */
  bool(value: boolean): void {
    this.#bytes[this.#reserve(1)] = value ? 0xc3 : 0xc2;
  }

  /** Writes a 64-bit floating-point number, also if it is whole. */
  float(value: number): void {
    const at = this.#reserve(9);
    this.#bytes[at] = 0xcb;
    this.#view.setFloat64(at + 1, value);
  }

  /** Writes an unsigned 64-bit integer; of a negative one the two's complement. */
  u64(value: bigint): void {
    const at = this.#reserve(9);
    this.#view.setBigUint64(at + 1, value);
    if (this.#view.getUint32(at + 1) !== 0) {
      this.#bytes[at] = 0xcf;
    } else {
      this.#end = at;
      this.uint(this.#view.getUint32(at + 5));
    }
  }

  /**
   * Writes an unsigned integer that a Number holds exactly.
   *
   * @throws {RangeError} If it is negative, no integer or above 2^53 - 1.
   */
  uint(value: number): void {
    const at = this.#reserve(9);
    if (value >= 0 && value < 0x80 && Number.isInteger(value)) {
      this.#bytes[at] = value;
      this.#end = at + 1;
    } else this.#wideUint(at, value);
  }

  #wideUint(at: number, value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot write ${value} as an unsigned integer`);
    }
    const size = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < TWO_32 ? 4 : 8;
    if (size === 8) this.#view.setBigUint64(at + 1, BigInt(value));
    else if (size === 4) this.#view.setUint32(at + 1, value);
    else if (size === 2) this.#view.setUint16(at + 1, value);
    else this.#bytes[at + 1] = value;
    this.#bytes[at] = 0xcc + Math.log2(size);
    this.#end = at + 1 + size;
  }

  #collection(count: number, short: number, wide: number): void {
    if (count < 16) {
      this.#bytes[this.#reserve(1)] = short | count;
    } else if (count < 0x1_0000) {
      const at = this.#reserve(3);
      this.#bytes[at] = wide;
      this.#view.setUint16(at + 1, count);
    } else {
      const at = this.#reserve(5);
      this.#bytes[at] = wide + 1;
      this.#view.setUint32(at + 1, count);
    }
  }

  /** Writes the head of a text or of bytes, with a length of one, two or four bytes. */
  #sized(length: number, tag: number): void {
    const size = length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 4;
    const at = this.#reserve(1 + size);
    this.#bytes[at] = tag + (size >> 1);
    if (size === 1) this.#bytes[at + 1] = length;
    else if (size === 2) this.#view.setUint16(at + 1, length);
    else this.#view.setUint32(at + 1, length);
  }

  #reserve(count: number): number {
    const at = this.#end;
    if (at + count > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#bytes.length + count);
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#end = at + count;
    return at;
  }
}

/** The MessagePack bytes of a short text, for keys and constants written with {@linkcode MsgpackWriter.raw}. */
export function packedText(text: string): Uint8Array {
  const writer = new MsgpackWriter();
  writer.text(text);
  return writer.toBytes();
}
