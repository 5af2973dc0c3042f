import assert from "node:assert/strict";
import { test } from "node:test";
import { sipHash13 } from "../../src/protocol/siphash.ts";

/** Of the bytes 0, 1, 2 and so on, by their number; made with Rust's `DefaultHasher`. */
const HASHES: readonly (readonly [length: number, hash: bigint])[] = [
  [0, 0xd1fba762150c532cn],
  [7, 0x2f098ab0c751325an],
  [8, 0xead411e67ebe2eean],
  [15, 0xf30eb725bb91c9ean],
  [16, 0x8972188433a5c5b7n],
  [64, 0x75e05fd5bbc870c6n],
];

for (const [length, hash] of HASHES) {
  test(`sipHash13() of ${length} bytes is that of Rust`, () => {
    assert.equal(sipHash13(Uint8Array.from({ length }, (_, i) => i)), hash);
  });
}
