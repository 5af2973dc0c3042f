import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvChange } from "../../src/kv/change.ts";
import { coalesce } from "../../src/kv/coalesce.ts";
import { CLEARED, range, remove, store } from "./changes.ts";

const cases: readonly (readonly [string, readonly KvChange[], readonly KvChange[]])[] = [
  ["nothing", [], []],
  ["a chain", [store([1, 2]), store([3], 2), store([4], 3)], [store([1, 2, 3, 4])]],
  ["two roots", [store([1]), store([2])], [store([1]), store([2])]],
  ["a branch", [store([1, 2]), store([3], 1)], [store([1, 2]), store([3], 1)]],
  ["removals", [remove([1]), remove([2, 3])], [remove([1, 2, 3])]],
  ["a removal between stores", [store([1]), remove([9]), store([2], 1)], [store([1]), remove([9]), store([2], 1)]],
  ["cleared between", [remove([1]), CLEARED, remove([2])], [remove([1]), CLEARED, remove([2])]],
  ["cleared twice", [CLEARED, CLEARED], [CLEARED, CLEARED]],
  [
    "another tier",
    [store([1]), store([2], 1, { tier: "disk" })],
    [store([1]), store([2], 1, { tier: "disk" })],
  ],
  ["another rank", [remove([1]), remove([1], { dpRank: 1 })], [remove([1]), remove([1], { dpRank: 1 })]],
  [
    "another session",
    [store([1]), store([2], 1, { sessionId: "s" })],
    [store([1]), store([2], 1, { sessionId: "s" })],
  ],
  ["a full event", [store(range(1, 128)), store([129], 128)], [store(range(1, 128)), store([129], 128)]],
  ["one that becomes full", [store(range(1, 127)), store([128, 129], 127)], [store(range(1, 129))]],
  ["a store without blocks", [store([]), store([1])], [store([]), store([1])]],
];

for (const [name, changes, expected] of cases) {
  test(`coalesce(): ${name}`, () => assert.deepEqual(coalesce(changes), expected));
}

test("coalesce() leaves its input as it was", () => {
  const changes = [store([1]), store([2], 1), remove([3]), remove([4])];
  const copy = structuredClone(changes);
  coalesce(changes);
  assert.deepEqual(changes, copy);
});
