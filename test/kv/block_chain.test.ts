import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockChain } from "../../src/kv/block_chain.ts";
import { BlockHasher, sequenceHashes } from "../../src/protocol/block_hash.ts";
import { pseudoRandom } from "../support/pseudo_random.ts";

const random = pseudoRandom(2);
const tokens = Array.from({ length: 500 }, () => random.below(2 ** 32));

for (const isEagle of [false, true]) {
  for (const most of [1, 3, 100]) {
    test(`pieces of up to ${most} tokens hash as the whole does${isEagle ? ", with Eagle" : ""}`, () => {
      const hasher = new BlockHasher(16, { isEagle });
      const chain = new BlockChain(hasher);
      const local: bigint[] = [];
      const sequence: bigint[] = [];
      for (let at = 0; at < tokens.length;) {
        const count = 1 + random.below(most);
        const completed = chain.append(tokens.slice(at, at + count));
        at += count;
        if (completed === null) continue;
        assert.equal(completed.parent, sequence.at(-1) ?? null);
        local.push(...completed.local);
        sequence.push(...completed.sequence);
      }
      const whole = hasher.localHashes(tokens);
      assert.deepEqual(local, [...whole]);
      assert.deepEqual(sequence, [...sequenceHashes(whole)]);
      assert.equal(chain.parent, sequence.at(-1));
    });
  }
}

test("a chain goes on after a block it did not see", () => {
  const hasher = new BlockHasher(4);
  const whole = sequenceHashes(hasher.localHashes(tokens.slice(0, 8)));
  const chain = new BlockChain(hasher, whole[0]!);
  assert.deepEqual(chain.append(tokens.slice(4, 8))!.sequence, whole.subarray(1));
  assert.equal(chain.append([]), null);
});
