/**
 * SipHash-1-3 with a key of zeros, the hash of Rust's `DefaultHasher`.
 *
 * @module
 */
const MASK = 0xffff_ffff_ffff_ffffn;

/** The 64-bit hash of bytes. */
export function sipHash13(bytes: Uint8Array): bigint {
  const state = new SipState();
  const whole = bytes.length - bytes.length % 8;
  for (let at = 0; at < whole; at += 8) state.add(littleEndian(bytes.subarray(at, at + 8)));
  state.add(BigInt(bytes.length & 0xff) << 56n | littleEndian(bytes.subarray(whole)));
  return state.finish();
}

class SipState {
  #a = 0x736f6d6570736575n;
  #b = 0x646f72616e646f6dn;
  #c = 0x6c7967656e657261n;
  #d = 0x7465646279746573n;

  add(word: bigint): void {
    this.#d ^= word;
    this.#round();
    this.#a ^= word;
  }

  finish(): bigint {
    this.#c ^= 0xffn;
    for (let i = 0; i < 3; i++) this.#round();
    return this.#a ^ this.#b ^ this.#c ^ this.#d;
  }

  #round(): void {
    this.#a = this.#a + this.#b & MASK;
    this.#b = rotate(this.#b, 13n) ^ this.#a;
    this.#a = rotate(this.#a, 32n);
    this.#c = this.#c + this.#d & MASK;
    this.#d = rotate(this.#d, 16n) ^ this.#c;
    this.#a = this.#a + this.#d & MASK;
    this.#d = rotate(this.#d, 21n) ^ this.#a;
    this.#c = this.#c + this.#b & MASK;
    this.#b = rotate(this.#b, 17n) ^ this.#c;
    this.#c = rotate(this.#c, 32n);
  }
}

function rotate(value: bigint, by: bigint): bigint {
  return (value << by | value >> 64n - by) & MASK;
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);
}
