import assert from "node:assert/strict";
import { test } from "node:test";
import { HashIndex } from "../../../engines/mocker/hash_index.ts";
import { dice } from "../../support/mock_requests.ts";

test("a HashIndex behaves as a Map through thousands of random steps, clashes included", () => {
  const capacity = 200;
  const low = new Uint32Array(capacity);
  const high = new Uint32Array(capacity);
  const index = new HashIndex(low, high);
  const model = new Map<string, number>();
  const random = dice(7);
  const free = Array.from({ length: capacity }, (_, i) => i);
  for (let step = 0; step < 20_000; step++) {
    // Few low halves, so that many keys want the same slot.
    const [l, h] = [random(40) * 2 ** 20, random(30)];
    const key = `${l}:${h}`;
    assert.deepEqual([index.get(l, h), index.size], [model.get(key) ?? -1, model.size]);
    const value = model.get(key);
    if (value !== undefined) {
      index.delete(value);
      model.delete(key);
      free.push(value);
    } else if (free.length > 0) {
      const added = free.pop()!;
      [low[added], high[added]] = [l, h];
      index.add(added);
      model.set(key, added);
    }
  }
});

test("replace() lets another value stand for a key", () => {
  const index = new HashIndex(Uint32Array.of(5, 5), Uint32Array.of(1, 1));
  index.add(0);
  index.replace(0, 1);
  assert.equal(index.get(5, 1), 1);
  assert.throws(() => index.delete(0), RangeError);
});
