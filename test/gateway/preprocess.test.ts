/** Bodies for workers beside those of the real frontend for the same HTTP requests. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parseChatRequest, parseCompletionRequest } from "../../src/gateway/openai.ts";
import { encodePrompts, preprocess } from "../../src/gateway/preprocess.ts";
import { builtinModelFiles } from "../../src/model/builtin.ts";
import { loadTextModel } from "../../src/model/text_model.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";

const GOLDEN = new URL("../golden/request-plane/requests/", import.meta.url);
const files = builtinModelFiles();
const model = {
  card: buildModelCard({ engine: { model: "tiny", contextLength: 8192 } }),
  text: loadTextModel({
    tokenizer: files.get("tokenizer.json")!,
    tokenizerConfig: files.get("tokenizer_config.json")!,
    generationConfig: files.get("generation_config.json")!,
    config: files.get("config.json")!,
  }),
};

/** Requests with features the gateway refuses, and the members that it refuses or leaves to Dynamo's frontend. */
const REFUSED = new Set(["chat_n2", "chat_tools_auto", "chat_tools_named", "chat_tools_required"]);
const WITHOUT: Readonly<Record<string, readonly string[]>> = {
  chat_sampling: ["logit_bias"],
  cmpl_best_of: ["suffix"],
  cmpl_logprobs_echo: ["echo"],
};
/** What the real frontend adds for a router, which the gateway has not. */
const ROUTING = new Set(["chat_cache_salt_priority"]);

/** Values with floats as wide as on the wire and integers as numbers. */
function wire(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") return Math.fround(value);
  if (Array.isArray(value)) return value.map(wire);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, wire(item)]));
}

for (const file of readdirSync(GOLDEN).filter((name) => name.endsWith(".json")).sort()) {
  const name = file.replace(".json", "");
  const golden = JSON.parse(readFileSync(new URL(file, GOLDEN), "utf8"));
  const parse = golden.http_path === "/v1/completions" ? parseCompletionRequest : parseChatRequest;
  if (REFUSED.has(name)) {
    test(`${name} is refused`, () => assert.throws(() => parse(golden.http_body), { status: 400 }));
    continue;
  }
  test(`${name} becomes the body that the real frontend sends`, () => {
    const body = { ...golden.http_body };
    for (const member of WITHOUT[name] ?? []) {
      assert.throws(() => parse(body), { status: 400 });
      delete body[member];
    }
    const request = parse(body);
    const prompts = encodePrompts(request, model);
    const ours = preprocess(request, prompts[name.endsWith("_2") ? 1 : 0]!, model);
    const theirs = { ...golden.worker_request, mdc_sum: ours.mdc_sum };
    if (ROUTING.has(name)) Object.assign(theirs, { routing: {}, extra_args: undefined });
    if (WITHOUT[name]?.includes("echo")) theirs.output_options.prompt_logprobs = null;
    assert.deepEqual(wire(ours), wire(JSON.parse(JSON.stringify(theirs))));
    assert.deepEqual(Object.keys(ours), Object.keys(theirs).filter((key) => theirs[key] !== undefined && key in ours));
  });
}

test("a seed above 2^53 keeps all its digits", () => {
  const request = parseChatRequest({ model: "m", messages: [{ role: "user", content: "x" }], seed: 2n ** 62n + 1n });
  assert.equal(preprocess(request, [1], model).sampling_options.seed, 2n ** 62n + 1n);
});
