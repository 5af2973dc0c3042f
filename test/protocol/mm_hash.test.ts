import assert from "node:assert/strict";
import { test } from "node:test";
import { mmHashOf, padToken, withPadTokens } from "../../src/protocol/mm_hash.ts";
import { Xxh3 } from "../../src/protocol/xxh3.ts";

test("mmHashOf() takes the first digits of a long hash and hashes any other name", () => {
  assert.equal(mmHashOf("0123456789abcdef" + "f".repeat(48)), 0x0123456789abcdefn);
  for (const name of ["image-1", "0123456789abcdef", "g".repeat(64)]) {
    assert.equal(mmHashOf(name), new Xxh3(0n).hash(new TextEncoder().encode(name)));
  }
});

test("padToken() keeps 30 bits above a million", () => {
  assert.equal(padToken(5n), 1_000_005);
  assert.equal(padToken(2n ** 64n - 1n), 1_000_000 + 2 ** 30 - 1);
});

test("withPadTokens() gives each run its image, and runs beyond them the last", () => {
  const tokens = Uint32Array.of(9, 9, 1, 9, 2, 9);
  assert.deepEqual([...withPadTokens(tokens, 9, [5n, 6n])], [5, 5, 1, 6, 2, 6].map((n) => n > 4 ? 1_000_000 + n : n));
  assert.equal(withPadTokens(tokens, 9, []), tokens);
  assert.deepEqual([...tokens], [9, 9, 1, 9, 2, 9]);
});
