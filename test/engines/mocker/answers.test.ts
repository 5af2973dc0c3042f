/** What answers consist of: reasoning parts and planned tokens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWorkerArgs } from "@stator/worker";
import { module } from "@stator/worker/engines/mocker";
import { fakeContext } from "@stator/worker/testing";
import { openTemporaryFile } from "../../support/files.ts";
import { goldenText } from "../../support/golden.ts";
import { promptOf, startMockerRig, type TimedChunk } from "../../support/mocker_rig.ts";

const tokens = (chunks: readonly TimedChunk[]) => chunks.flatMap(({ chunk }) => [...chunk.token_ids]);
const max = (max_tokens: number, more: object = {}) => ({ stop_conditions: { max_tokens, ...more } });
const reasoning = (ratio: number) =>
  JSON.stringify({ start_thinking_token_id: 300, end_thinking_token_id: 301, thinking_ratio: ratio });
/** Places of the marks of a reasoning part. */
const marks = (ids: readonly number[]) => [ids.indexOf(300), ids.indexOf(301)];

test("a reasoning part has its marks where the peer's has them", async () => {
  const { workloads: { single: [recorded] } } = JSON.parse(goldenText("mocker/live/reasoning.json"));
  const rig = await startMockerRig("--block-size", "16", "--reasoning", reasoning(0.5));
  const ids = tokens(await rig.ask(promptOf(1, recorded.prompt_tokens), max(recorded.max_tokens)));
  assert.deepEqual(marks(ids), marks(recorded.token_ids));
  assert.equal(ids.length, recorded.token_ids.length);
  const others = ids.filter((id) => id !== 300 && id !== 301);
  assert.ok(others.length === 14 && others.every((id) => id >= 1000 && id < 2000), "all others are as without");
});

for (
  const [ratio, maxTokens, places] of [
    [0.5, 1, [-1, -1]],
    [0.1, 9, [-1, -1]],
    [0.1, 10, [0, 1]],
    [0.5, 2, [0, 1]],
    [0.6, 5, [0, 2]],
    [1, 5, [0, 4]],
    [0, 5, [-1, -1]],
  ] as const
) {
  test(`of ${maxTokens} tokens, ${ratio} are reasoning: marks at ${places}`, async () => {
    const rig = await startMockerRig("--extra-engine-args", `{"dynamo":{"reasoning":${reasoning(ratio)}}}`);
    assert.deepEqual(marks(tokens(await rig.ask([1], max(maxTokens)))), places);
  });
}

test("a reasoning part that makes no sense is bad usage, told by the name of its field", async () => {
  const parse = (text: string) => parseWorkerArgs(["--reasoning", text], module);
  const valid = JSON.parse(reasoning(0.5));
  await assert.rejects(parse("{"), /--reasoning: this is no JSON/);
  await assert.rejects(parse("[]"), /dynamo.reasoning must be an object/);
  await assert.rejects(parse('{"thinking_ratio":0.5}'), /dynamo.reasoning: missing field `start_thinking_token_id`/);
  for (
    const [field, value] of [["thinking_ratio", 1.1], ["start_thinking_token_id", -1], [
      "end_thinking_token_id",
      2 ** 32,
    ]]
  ) {
    const text = JSON.stringify({ ...valid, [field!]: value });
    await assert.rejects(parse(text), new RegExp(`dynamo.reasoning.${field}`), text);
  }
  await assert.rejects(parse(JSON.stringify({ ...valid, ratio: 1 })), /unknown field `ratio`/);
});

const TRACE = [
  { request_id: "planned", output_length: 3, output_token_ids: [7, 8, 9] },
  { session_id: "s", output_length: 5 },
  { session_id: "s", output_tokens: 1, output_token_ids: [4000000000] },
].map((row) => JSON.stringify(row)).join("\n");
const asking = (key: string) => ({ annotations: ["other", `output_replay_id:${key}`] });

test("a request that names a planned answer gets its tokens, whatever else it asks for", async () => {
  await using trace = await openTemporaryFile("trace.jsonl", TRACE);
  const flags = ["--response-replay-trace-path", trace.path, "--honour-stops", "--reasoning", reasoning(1)];
  const rig = await startMockerRig(...flags);
  const chunks = await rig.ask([1], { ...max(99, { stop_token_ids: [8] }), ...asking("planned") });
  assert.deepEqual(tokens(chunks), [7, 8, 9]);
  assert.equal(chunks.at(-1)?.chunk.finish_reason, "length");
  assert.equal(chunks.at(-1)?.chunk.completion_usage?.completion_tokens, 3);
  assert.deepEqual(tokens(await rig.ask([1], { stop_conditions: {}, ...asking("s:1") })), [4000000000]);
  const prefill = await startMockerRig("--disaggregation-mode", "prefill", ...flags);
  assert.deepEqual(tokens(await prefill.ask([1], { ...max(99), ...asking("planned") })), [7]);
});

test("a key that nothing is planned for gets an answer like any other, and a warning", async () => {
  const lines: unknown[] = [];
  const { log } = fakeContext();
  const warn = (message: string, fields = {}) => void lines.push({ message, ...fields });
  await using trace = await openTemporaryFile("trace.jsonl", TRACE);
  for (const flags of [["--response-replay-trace-path", trace.path], []]) {
    const rig = await startMockerRig(...flags);
    const ctx = rig.context({ log: { ...log, warn } });
    assert.equal(tokens(await rig.ask([1], { ...max(6), ...asking("s:0") }, ctx)).length, 6);
  }
  assert.deepEqual(lines, Array(2).fill({ message: "No answer is planned for the request", output_replay_id: "s:0" }));
});

test("a worker says that it knows planned answers, and refuses a trace that it cannot read", async () => {
  const { engine } = await startMockerRig();
  const config = await engine.start(1n, new AbortController().signal, (await startMockerRig()).context());
  assert.deepEqual(config.runtimeData, { output_replay_consumer: true });
  const parse = (path: string) => parseWorkerArgs(["--response-replay-trace-path", path], module);
  await assert.rejects(parse("/no/such.jsonl"), /--response-replay-trace-path \/no\/such.jsonl: .*no such file/i);
  await using trace = await openTemporaryFile("trace.jsonl", '{"output_token_ids":[1],"output_length":2}');
  await assert.rejects(parse(trace.path), /trace.jsonl: line 1 has 1 output_token_ids, but output_length 2/);
});
