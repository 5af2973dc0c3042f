/** The sample engine by itself: the happy path, cancellation, the edges. An example of tests for an engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateChunk, GenerateContext } from "@stator/worker";
import { sampleEngine, type SampleEngineOptions } from "@stator/worker/engines/sample";
import { cancellingContext, fakeContext } from "@stator/worker/testing";
import { parseRequest } from "../../src/protocol/request.ts";

/** All chunks of an answer to three tokens; members of `body` are added to the request. */
async function ask(
  body: Readonly<Record<string, unknown>> = {},
  options: SampleEngineOptions = {},
  ctx: GenerateContext = fakeContext(),
): Promise<GenerateChunk[]> {
  const request = parseRequest({ token_ids: [1, 2, 3], stop_conditions: {}, ...body });
  return await Array.fromAsync(sampleEngine({ delay: 0, ...options }).generate(request, ctx));
}

const tokens = (chunks: readonly GenerateChunk[]) => chunks.flatMap((one) => [...one.token_ids]);
const end = (chunks: readonly GenerateChunk[]) => chunks.at(-1)?.finish_reason;

test("an answer has as many tokens as the request wants, the last with the reason and the counts", async () => {
  const chunks = await ask({ stop_conditions: { max_tokens: 4 } });
  assert.deepEqual(tokens(chunks), [1, 2, 3, 4]);
  assert.deepEqual(chunks.map((one) => one.finish_reason), [undefined, undefined, undefined, "length"]);
  assert.deepEqual(chunks.at(-1)?.completion_usage, { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
});

test("an answer has the engine's number of tokens when the request names none", async () => {
  assert.equal(tokens(await ask()).length, 16);
  assert.equal(tokens(await ask({}, { maxTokens: 5 })).length, 5);
});

test("an answer of no tokens is its end only", async () => {
  const chunks = await ask({ stop_conditions: { max_tokens: 0 } });
  assert.deepEqual([chunks.length, tokens(chunks), end(chunks)], [1, [], "length"]);
});

test("a request that is given up ends as cancelled, before the first token and later", async () => {
  using early = cancellingContext(0);
  assert.deepEqual((await ask({}, {}, early)).map((one) => one.finish_reason), ["cancelled"]);
  using late = cancellingContext(20);
  const chunks = await ask({ stop_conditions: { max_tokens: 100_000 } }, { delay: 0.001 }, late);
  assert.equal(end(chunks), "cancelled");
  assert.ok(tokens(chunks).length < 100_000);
  assert.equal(chunks.at(-1)?.completion_usage?.completion_tokens, tokens(chunks).length);
});

test("log-probabilities come with every token, as many alternatives as asked for and one", async () => {
  const chunks = await ask({ stop_conditions: { max_tokens: 2 }, output_options: { logprobs: 2 } });
  assert.deepEqual(chunks.map((one) => [one.log_probs?.length, one.top_logprobs?.[0]?.length]), [[1, 3], [1, 3]]);
  assert.equal((await ask())[0]?.log_probs, undefined);
});

test("prefill hands its one token over, decode refuses to work without", async () => {
  const [only, ...more] = await ask({ stop_conditions: { max_tokens: 9 } }, { disaggregationMode: "prefill" });
  assert.deepEqual([more, only?.finish_reason], [[], "length"]);
  assert.deepEqual((only?.disaggregated_params as Record<string, unknown>).completed_tokens, [1]);
  await assert.rejects(ask({}, { disaggregationMode: "decode" }), { kind: "InvalidArgument" });
  const prefill_result = { disaggregated_params: only?.disaggregated_params };
  const decoded = await ask({ prefill_result }, { disaggregationMode: "decode", maxTokens: 2 });
  assert.deepEqual(tokens(decoded), [1, 2]);
});
