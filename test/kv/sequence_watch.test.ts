import assert from "node:assert/strict";
import { test } from "node:test";
import { SequenceWatch } from "../../src/kv/sequence_watch.ts";

test("SequenceWatch tells what is missing and when the publisher began anew", () => {
  const watch = new SequenceWatch();
  assert.equal(watch.last, null);
  const news = [5n, 6n, 9n, 10n, 0n, 1n, 1n].map((sequence) => watch.note(sequence));
  assert.deepEqual(news, [
    { kind: "next" },
    { kind: "next" },
    { kind: "gap", from: 7n, missing: 2n },
    { kind: "next" },
    { kind: "restart" },
    { kind: "next" },
    { kind: "restart" },
  ]);
  assert.equal(watch.last, 1n);
});
