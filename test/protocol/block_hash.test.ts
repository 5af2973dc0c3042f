import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockHasher, nextSequenceHash, sequenceHashes } from "../../src/protocol/block_hash.ts";

test("a BlockHasher refuses sizes that are no positive integer", () => {
  for (const size of [0, -1, 1.5, NaN]) assert.throws(() => new BlockHasher(size), /Cannot hash blocks of/);
});

test("localHashes() refuses ids that are no unsigned 32-bit integers", () => {
  const hasher = new BlockHasher(2);
  for (const id of [-1, 0.5, 2 ** 32, NaN]) assert.throws(() => hasher.localHashes([1, id]), RangeError);
});

test("localHashes() reads a part of an array in its place", () => {
  const tokens = Uint32Array.from({ length: 100 }, (_, i) => i * i);
  const hasher = new BlockHasher(16);
  assert.deepEqual(hasher.localHashes(tokens.subarray(16)), hasher.localHashes(tokens).subarray(1, 1 + 5));
});

test("blocksIn() counts complete blocks, with Eagle only those with their next token", () => {
  const plain = new BlockHasher(4);
  const eagle = new BlockHasher(4, { isEagle: true });
  assert.deepEqual([0, 3, 4, 5, 8, 9].map((count) => plain.blocksIn(count)), [0, 0, 1, 1, 2, 2]);
  assert.deepEqual([0, 3, 4, 5, 8, 9].map((count) => eagle.blocksIn(count)), [0, 0, 0, 1, 1, 2]);
});

test("a sequence hash depends on everything before it", () => {
  const local = new BlockHasher(1).localHashes([1, 2, 1]);
  const [first, second, third] = sequenceHashes(local);
  assert.equal(local[0], local[2]);
  assert.equal(first, local[0]);
  assert.notEqual(third, first);
  assert.equal(third, nextSequenceHash(second!, local[2]!));
  assert.equal(sequenceHashes(new BigUint64Array(0)).length, 0);
});
