import assert from "node:assert/strict";
import { test } from "node:test";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import { stringifyJson } from "../../src/protocol/payload.ts";
import { parseTaints, withTaints } from "../../src/worker/taints.ts";

test("parseTaints() drops duplicates and sorts by bytes, as a stock worker answers", () => {
  assert.deepEqual(parseTaints({ taints: ["é", "z", "𐀀", "\ue000", "Z", "z"], more: 1 }), [
    "Z",
    "z",
    "é",
    "\ue000",
    "𐀀",
  ]);
  assert.deepEqual(parseTaints({ taints: ["ab", "a", ""] }), ["", "a", "ab"]);
  assert.deepEqual(parseTaints({ taints: [] }), []);
});

/** Bodies and what a 1.6.1 worker said to them. */
const REFUSED: readonly (readonly [body: unknown, message: string])[] = [
  [[1], "request body must be a JSON object"],
  [null, "request body must be a JSON object"],
  [{}, "'taints' must be a JSON array of strings"],
  [{ taints: null }, "'taints' must be a JSON array of strings"],
  [{ taints: "x" }, "'taints' must be a JSON array of strings"],
  [{ taints: ["a", 1] }, "'taints' must be a JSON array of strings"],
  [{ taints: ["a", "dynamo.topology/"] }, "taint 'dynamo.topology/' uses reserved prefix 'dynamo.topology/'"],
];

for (const [body, message] of REFUSED) {
  test(`parseTaints() refuses ${JSON.stringify(body)}`, () => assert.throws(() => parseTaints(body), { message }));
}

test("withTaints() replaces what an operator set, keeps what topology says, and the order of members", () => {
  const engine = { model: "m", maxGpuLoraCount: 3 };
  const card = buildModelCard({ engine, sourcePath: "m", stableRoutingId: "r" });
  const bare = stringifyJson(card);
  const tainted = withTaints(card, ["b", "a"]);
  assert.ok(bare.includes('"enable_eagle":false,"stable_routing_id":"r"'), bare);
  assert.equal(
    stringifyJson(tainted),
    bare.replace('"stable_routing_id"', '"taints":["a","b"],"stable_routing_id"'),
  );
  assert.equal(stringifyJson(withTaints(tainted, [])), bare);
  const placed = { ...card, runtime_config: { ...card.runtime_config, taints: ["dynamo.topology/zone=x", "old"] } };
  assert.deepEqual(withTaints(placed, ["z"]).runtime_config.taints, ["dynamo.topology/zone=x", "z"]);
});
