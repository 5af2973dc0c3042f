import assert from "node:assert/strict";
import { test } from "node:test";
import { modelCardOf } from "../../src/protocol/model_card.ts";
import { modelSum, modelSumBytes } from "../../src/protocol/model_sum.ts";
import { decodeModel } from "../../src/protocol/record.ts";
import { goldenEntries, goldenText } from "../support/golden.ts";

const vectors: { capture: string; key: string; mdcsum: string; preimage_hex: string }[] = JSON.parse(
  goldenText("discovery/mdcsum.json"),
);

test("there is a vector for every captured card", () => {
  const cards = goldenEntries().filter((entry) => entry.bucket === "v1/mdc");
  assert.equal(vectors.length, cards.length);
});

for (const { capture, key, mdcsum, preimage_hex } of vectors) {
  test(`modelSum() of ${capture}: ${key}`, () => {
    const entry = goldenEntries(capture).find((each) => each.bucket === "v1/mdc" && each.key === key);
    assert.ok(entry);
    const card = modelCardOf(decodeModel(entry.value));
    assert.equal(hex(modelSumBytes(card)), preimage_hex);
    assert.equal(modelSum(card), mdcsum);
  });
}

// No capture has these; the layout is the one of protocol notes 01 §6.
test("modelSumBytes() appends indexer identity, switches and the video contract", () => {
  const plain = goldenEntries("nameonly").find((entry) => entry.bucket === "v1/mdc");
  assert.ok(plain);
  const card = modelCardOf(decodeModel(plain.value));
  const before = modelSumBytes(card);
  const tail = (extra: object): string => {
    const bytes = modelSumBytes({ ...card, ...extra });
    assert.equal(hex(bytes.subarray(0, before.length)), hex(before));
    return new TextDecoder("latin1").decode(bytes.subarray(before.length));
  };
  assert.equal(
    tail({ indexer_identity: { semantics: { b: "2", a: "1" } } }),
    "dynamo/model-card/indexer-identity/v1\x01\x02\0\0\0" +
      ["a", "1", "b", "2"].map((text) => `\x01\0\0\0${text}`).join("") + "\0",
  );
  const data = (runtime_data: object): object => ({ runtime_config: { ...card.runtime_config, runtime_data } });
  assert.equal(tail(data({ vllm_inference_v1_generate: "On" })), "\0vllm_inference_v1_generate\0true");
  assert.equal(tail(data({ vllm_inference_v1_generate: false })), "");
  const contract = "vllm_nemotron_video_processor_contract";
  assert.equal(
    tail(data({ [contract]: { b: 1, a: [2] } })),
    `\0dynamo/model-card/runtime-contract/v1\0\0\0\0\0\0\0\0${String.fromCharCode(contract.length)}${contract}` +
      '\0\0\0\0\0\0\0\x0f{"a":[2],"b":1}',
  );
});

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
