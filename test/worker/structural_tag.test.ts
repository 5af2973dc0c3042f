import assert from "node:assert/strict";
import { test } from "node:test";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import type { StructuralTag } from "../../src/protocol/model_card.ts";
import { UsageError } from "../../src/worker/command_line.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { parseStructuralTag } from "../../src/worker/structural_tag.ts";

const TAG: StructuralTag = {
  scope: "auto",
  schema: "strict",
  allow_tool_calls_with_structured_output: true,
  exclude_special_tokens: false,
  reasoning_boundary: "backend",
  tool_arguments_any_order: true,
};

test("a structural tag is the same as an object, as its JSON, and on the card", () => {
  for (const setting of [TAG, JSON.stringify(TAG)]) {
    const tag = parseStructuralTag(setting);
    assert.deepEqual(tag, TAG);
    const { runtime_config: runtime } = buildModelCard({ engine: { model: "m" }, structuralTag: tag! });
    assert.deepEqual(runtime.structural_tag, TAG);
  }
});

test("a structural tag that is only turned on applies always", () => {
  for (const word of ["true", " YES ", "1", "on", "{}"]) {
    assert.deepEqual(parseStructuralTag(word), { scope: "always" }, word);
  }
  for (const word of ["false", "No", "0", "off"]) assert.equal(parseStructuralTag(word), undefined, word);
});

test("a structural tag that is none is bad usage", () => {
  for (const text of ["maybe", "", "[]", "null", "7", '"auto"', "{"]) {
    assert.throws(
      () => parseStructuralTag(text),
      (error) => error instanceof UsageError && error.message.startsWith("--dyn-structural-tag: "),
      text,
    );
  }
});

test("resolveOptions() reads the structural tag from flag and environment", () => {
  assert.deepEqual(resolveOptions({}, { DYN_STRUCTURAL_TAG: '{"schema":"strict"}' }).structuralTag, {
    scope: "always",
    schema: "strict",
  });
  assert.equal(resolveOptions({ structuralTag: "false" }, { DYN_STRUCTURAL_TAG: "true" }).structuralTag, undefined);
  assert.equal("structuralTag" in resolveOptions({}, {}), false);
  assert.throws(() => resolveOptions({ structuralTag: "maybe" }, {}), UsageError);
});
