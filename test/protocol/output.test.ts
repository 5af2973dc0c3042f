import assert from "node:assert/strict";
import { test } from "node:test";
import { chunk, type FinishReason, normalizeFinishReason, usage } from "../../src/protocol/output.ts";

test("chunk builders give chunks in wire spelling", () => {
  assert.deepEqual(chunk.tokens([1, 2]), { token_ids: [1, 2], index: 0 });
  assert.deepEqual(chunk.stop(), { token_ids: [], index: 0, finish_reason: "stop" });
  assert.deepEqual(chunk.length(usage(3, 2), [9]), {
    token_ids: [9],
    index: 0,
    finish_reason: "length",
    completion_usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  });
  assert.equal(chunk.cancelled().finish_reason, "cancelled");
  assert.deepEqual(chunk.error("broken").finish_reason, { error: "broken" });
});

test("usage() gives the greatest total there is room for when there is none for the sum", () => {
  assert.equal(usage(0xffff_fffe, 1).total_tokens, 0xffff_ffff);
  assert.equal(usage(0xffff_ffff, 0xffff_ffff).total_tokens, 0xffff_ffff);
});

test("usage() adds up and tells cached tokens only when known", () => {
  assert.deepEqual(usage(3, 2, 1).prompt_tokens_details, { cached_tokens: 1 });
  assert.equal("prompt_tokens_details" in usage(3, 2), false);
});

const REASONS: readonly [given: FinishReason, sent: FinishReason][] = [
  ["stop", "stop"],
  ["length", "length"],
  ["eos", "eos"],
  ["content_filter", "content_filter"],
  ["cancelled", "cancelled"],
  ["abort", "cancelled"],
  ["error", { error: "error" }],
  ["error: out of memory", { error: "out of memory" }],
  [{ error: "x" }, { error: "x" }],
];

for (const [given, sent] of REASONS) {
  test(`normalizeFinishReason() sends ${JSON.stringify(given)} as ${JSON.stringify(sent)}`, () => {
    assert.deepEqual(normalizeFinishReason(given), sent);
  });
}

for (const reason of ["tool_calls", "", "Stop", 7, null, {}, { error: 7 }]) {
  test(`normalizeFinishReason() knows no ${JSON.stringify(reason)}`, () => {
    assert.equal(normalizeFinishReason(reason), null);
  });
}
