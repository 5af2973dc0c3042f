import assert from "node:assert/strict";
import { test } from "node:test";
import { buildModelCard, type ModelCardInput, parseEndpointTypes } from "../../src/protocol/card_build.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { modelCardOf } from "../../src/protocol/model_card.ts";
import { stringifyJson } from "../../src/protocol/payload.ts";
import { decodeModel, slug } from "../../src/protocol/record.ts";
import { goldenEntries } from "../support/golden.ts";

const LIMITS = { contextLength: 2048, totalKvBlocks: 1000, maxNumSeqs: 64, maxNumBatchedTokens: 2048 };
const PLAIN: ModelCardInput = {
  engine: { model: "tiny-model", ...LIMITS },
  sourcePath: "tiny-model",
  architecturalContextLength: 8192,
};

/** The settings behind each capture; the files are the captured ones. */
const CASES: Readonly<Record<string, ModelCardInput>> = {
  plain: PLAIN,
  nolimit: { ...PLAIN, engine: { model: "tiny-model" } },
  aliases: {
    ...PLAIN,
    servedModelName: "Acme/Tiny Model:v1.2",
    engine: { model: "x", servedModelName: "y", modelAliases: ["tiny", "acme-tiny"], ...LIMITS },
  },
  completions: { ...PLAIN, endpointTypes: "completions" },
  embedding: { ...PLAIN, endpointTypes: " Embeddings ," },
  images: { ...PLAIN, endpointTypes: "image,chat" },
  decode: { ...PLAIN, role: "decode" },
  prefill: { ...PLAIN, role: "prefill" },
  encode: { ...PLAIN, role: "encode" },
  route_to_encoder: { ...PLAIN, routeToEncoder: true },
  prefill_bootstrap: {
    ...PLAIN,
    role: "prefill",
    engine: { ...PLAIN.engine, bootstrapHost: "127.0.0.1", bootstrapPort: 8998 },
  },
  dp2: { ...PLAIN, engine: { ...PLAIN.engine, dataParallelSize: 2, dataParallelStartRank: 2 } },
  parsers: {
    ...PLAIN,
    toolCallParser: "hermes",
    reasoningParser: "deepseek_r1",
    defaultThinkingMode: "disabled",
    excludeToolsWhenToolChoiceNone: false,
    structuralTag: { scope: "always" },
  },
  topo: {
    ...PLAIN,
    engine: { ...PLAIN.engine, enableEagle: true, maxGpuLoraCount: 4, runtimeData: { custom_key: { a: 1 } } },
    kvStateEndpoint: { namespace: "dynamo", component: "sample", endpoint: "kvstate" },
    stableRoutingId: " pod-7 ",
  },
  mocker: {
    engine: {
      model: "mock-model",
      contextLength: 0,
      kvCacheBlockSize: 64,
      totalKvBlocks: 16384,
      maxNumSeqs: 256,
      maxNumBatchedTokens: 8192,
      dataParallelSize: 2,
      runtimeData: { output_replay_consumer: true },
    },
    sourcePath: "/models/tiny-model",
    architecturalContextLength: 8192,
    kvEventPublishingEnabled: true,
  },
  extra: { ...PLAIN, engine: { model: "extra-model", ...LIMITS }, sourcePath: "extra-model" },
  jinja: PLAIN,
  nosys: PLAIN,
};

for (const [capture, input] of Object.entries(CASES)) {
  test(`buildModelCard() writes the bytes of ${capture}`, () => {
    const { record, text } = captured(capture);
    const card = buildModelCard({ ...input, files: modelCardOf(record) });
    assert.equal(stringifyJson(card), text);
  });
}

test("buildModelCard() writes the bytes of nameonly: no files, no source path", () => {
  const card = buildModelCard({ engine: { model: "", servedModelName: "named-only", ...LIMITS } });
  assert.equal(stringifyJson(card), captured("nameonly").text);
});

test("buildModelCard() for a prefill worker with an encoder needs both in one list", () => {
  const card = buildModelCard({ ...PLAIN, role: "prefill", routeToEncoder: true });
  assert.deepEqual(card.needs, [["decode", "encode"]]);
  assert.deepEqual(card.runtime_config.runtime_data, { encoder_result_handoff: true });
});

test("buildModelCard() advertises a rendezvous only with host and port", () => {
  for (const half of [{ bootstrapHost: "h" }, { bootstrapPort: 1 }]) {
    const card = buildModelCard({ ...PLAIN, engine: { ...PLAIN.engine, ...half } });
    assert.equal("disaggregated_endpoint" in card.runtime_config, false);
  }
});

test("buildModelCard() names a model by option, then engine's served name, then engine's model", () => {
  const engine = { model: "Org/Model", servedModelName: "served" };
  assert.equal(buildModelCard({ engine, servedModelName: "option" }).display_name, "option");
  assert.equal(buildModelCard({ engine }).display_name, "served");
  const card = buildModelCard({ engine: { model: "Org/Model" } });
  assert.deepEqual([card.display_name, card.slug], ["Org/Model", slug("Org/Model")]);
});

const refused: readonly (readonly [string, ModelCardInput, RegExp])[] = [
  ["endpoint type foo", { ...PLAIN, endpointTypes: "chat,foo" }, /^unknown endpoint type 'foo'$/],
  ["endpoint type prefill", { ...PLAIN, endpointTypes: "prefill" }, /^unknown endpoint type 'prefill'$/],
  ["no endpoint type", { ...PLAIN, endpointTypes: " , " }, /^endpoint_types cannot be empty$/],
  ["endpoint types of a prefill worker", { ...PLAIN, role: "prefill", endpointTypes: "foo" }, /unknown endpoint type/],
  ["route_to_encoder on decode", { ...PLAIN, role: "decode", routeToEncoder: true }, /route_to_encoder .* decode/],
  ["route_to_encoder on encode", { ...PLAIN, role: "encode", routeToEncoder: true }, /route_to_encoder .* encode/],
  ["tool parser", { ...PLAIN, toolCallParser: "no" }, /unknown tool call parser 'no', expected one of: .*hermes/],
  ["reasoning parser", { ...PLAIN, reasoningParser: "no" }, /unknown reasoning parser 'no', expected one of: .*qwen3/],
  ["no ranks", { ...PLAIN, engine: { model: "m", dataParallelSize: 0 } }, /dataParallelSize must be/],
  [
    "rank overflow",
    { ...PLAIN, engine: { model: "m", dataParallelSize: 2, dataParallelStartRank: 4294967295 } },
    /rank range overflows/,
  ],
  ["fraction", { ...PLAIN, engine: { model: "m", contextLength: 1.5 } }, /contextLength must be an integer/],
  ["port", { ...PLAIN, engine: { model: "m", bootstrapPort: 65536 } }, /bootstrapPort must be/],
  ["empty name", { engine: { model: "" } }, /model name cannot be empty/],
  ["empty alias", { engine: { model: "m", modelAliases: [""] } }, /model alias cannot be empty/],
  ["tag member", { ...PLAIN, structuralTag: { later: 1 } as object }, /unknown field 'later' of structural_tag/],
  ["tag value", { ...PLAIN, structuralTag: { scope: "on" } as object }, /structural_tag.scope must be one of auto/],
];

for (const [name, input, message] of refused) {
  test(`buildModelCard() refuses: ${name}`, () => {
    assert.throws(
      () => buildModelCard(input),
      (error) => error instanceof DynamoError && error.kind === "InvalidArgument" && message.test(error.message),
    );
  });
}

test("parseEndpointTypes() takes every name, in any order and case", () => {
  assert.deepEqual(
    parseEndpointTypes("VIDEOS, audio,tensor , images,embedding,completions,chat,video"),
    ["Chat", "Completions", "Embedding", "TensorBased", "Images", "Audios", "Videos"],
  );
});

function captured(capture: string): { record: ReturnType<typeof decodeModel>; text: string } {
  const entry = goldenEntries(capture).find((each) => each.bucket === "v1/mdc");
  assert.ok(entry);
  const record = decodeModel(entry.value);
  return { record, text: stringifyJson(record.card_json) };
}
