import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWorkerArgs } from "@stator/worker";
import { module } from "@stator/worker/engines/mocker";
import { assertConformance, fakeContext, runConformance } from "@stator/worker/testing";
import { createEngineClock } from "../../../src/pipeline/engine_clock.ts";
import { VirtualClock } from "../../../src/testing/virtual_clock.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { promptOf, startMockerRig, type TimedChunk } from "../../support/mocker_rig.ts";

const tokens = (chunks: readonly TimedChunk[]) => chunks.flatMap(({ chunk }) => [...chunk.token_ids]);
const end = (chunks: readonly TimedChunk[]) => chunks.at(-1)?.chunk.finish_reason;
const cached = (chunk: TimedChunk | undefined) => chunk?.chunk.completion_usage?.prompt_tokens_details?.cached_tokens;
const max = (max_tokens: number, more: object = {}) => ({ stop_conditions: { max_tokens, ...more } });

for (
  const [role, ...flags] of [
    ["agg", "--data-parallel-size", "2"],
    ["agg", "--engine-type", "sglang"],
    ["agg", "--engine-type", "trtllm"],
    ["prefill"],
    ["decode"],
  ] as const
) {
  test(`the engine keeps the worker contract: ${role} ${flags.join(" ")}`, async () => {
    const argv = ["--disaggregation-mode", role, ...flags];
    const request = role === "decode" ? { prefill_result: { disaggregated_params: "dummy" } } : {};
    const factory = async () => (await parseWorkerArgs(argv, module)).engine;
    assertConformance(await runConformance(factory, { role, request }));
  });
}

test("tokens come at the times of the model, and lateness does not add up", async () => {
  const rig = await startMockerRig("--num-gpu-blocks-override", "1024", "--block-size", "16");
  const begin = rig.now();
  const chunks = await rig.ask(promptOf(1, 256), max(16));
  // The recorded times of the scenario single-default; a timer rings at the next whole millisecond.
  assert.deepEqual([chunks[0]!.at - begin, chunks.at(-1)!.at - begin], [21, 120]);
  assert.equal(tokens(chunks).length, 16);
});

test("each token is a chunk, the end is one more; the first and the last say what was cached", async () => {
  const rig = await startMockerRig("--block-size", "16");
  await rig.ask(promptOf(1, 112), max(3));
  const chunks = await rig.ask([...promptOf(1, 96), ...promptOf(2, 16)], max(3));
  assert.deepEqual(chunks.map(({ chunk }) => chunk.token_ids.length), [1, 1, 1, 0]);
  assert.deepEqual([cached(chunks[0]), cached(chunks[1]), cached(chunks[3])], [96, undefined, 96]);
  assert.ok(tokens(chunks).every((id) => id >= 1000 && id < 2000));
  assert.deepEqual([end(chunks), (await rig.ask([1], max(0))).length], ["length", 1]);
});

test("routers hear of blocks before the client gets the token, planners of the pass, frontends of the load after it", async () => {
  const rig = await startMockerRig("--block-size", "16");
  await rig.ask(promptOf(1, 40), max(10));
  const [first, ...rest] = rig.told;
  assert.ok(first?.kind === "events" && first.items[0]?.type === "stored");
  assert.equal(first.items[0].blockHashes?.length, 2);
  assert.deepEqual(rest.slice(0, 2).map(({ kind }) => kind), ["pass", "load"]);
  const places = rig.told.map(({ kind }) => kind);
  assert.ok(places.indexOf("events") < places.indexOf("chunk"));
  // The tenth token fills no block, but the eighth computed one does: its parent is the last of the prompt.
  const later = rig.told.filter(({ kind }) => kind === "events")[1];
  assert.ok(later?.kind === "events" && later.items[0]?.type === "stored");
  assert.equal(later.items[0].parentHash, first.items[0].blockHashes?.[1]);
  const loads = rig.told.flatMap((one) => one.kind === "load" ? [one.used] : []);
  assert.deepEqual([Math.max(...loads), loads.at(-1)], [3, 0]);
});

test("a request goes to the rank that its router chose, others take turns", async () => {
  const rig = await startMockerRig("--data-parallel-size", "2", "--block-size", "16");
  await rig.ask(promptOf(1, 16), { ...max(1), routing: { dp_rank: 1 } });
  await rig.ask(promptOf(2, 16), max(1));
  await rig.ask(promptOf(3, 16), max(1));
  const ranks = rig.told.flatMap((one) => one.kind === "events" ? [one.rank] : []);
  assert.deepEqual(ranks, [1, 0, 1]);
  const outside = rig.ask([1], { ...max(1), routing: { dp_rank: 2 } });
  await assert.rejects(outside, { kind: "InvalidArgument", message: "dp_rank 2 is out of bounds for dp_size 2" });
});

test("what the peer refuses is refused in its words, and a default limit can be set instead", async () => {
  const rig = await startMockerRig("--max-model-len", "64");
  const message = "`max_output_tokens` (or `max_tokens`) is required by the mocker worker";
  await assert.rejects(rig.ask([1], { stop_conditions: {} }), { kind: "InvalidArgument", message });
  const error = "request rejected: request exceeds worker admission limits";
  assert.deepEqual(end(await rig.ask(promptOf(1, 64))), { error });
  const stuck = await startMockerRig("--engine-type", "sglang", "--num-gpu-blocks-override", "32");
  assert.deepEqual(end(await stuck.ask(promptOf(1, 40))), { error });
  const kind = await startMockerRig("--default-max-tokens", "3");
  assert.equal(tokens(await kind.ask([1], { stop_conditions: {} })).length, 3);
});

test("prefill answers with one chunk after the transfer, decode refuses to work without", async () => {
  const flags = ["--kv-bytes-per-token", "1000000", "--kv-transfer-bandwidth", "1"];
  const prefill = await startMockerRig("--disaggregation-mode", "prefill", ...flags);
  const begin = prefill.now();
  const [only, ...more] = await prefill.ask(promptOf(1, 64), max(9));
  assert.deepEqual([more, only?.chunk.token_ids.length, only?.chunk.finish_reason], [[], 1, "length"]);
  assert.equal(only?.chunk.disaggregated_params, "dummy");
  assert.equal(only.at - begin, 18 + 64);
  const decode = await startMockerRig("--disaggregation-mode", "decode");
  await assert.rejects(decode.ask([1], max(2)), { kind: "InvalidArgument" });
  assert.equal(end(await decode.ask([1], { ...max(2), _HEALTH_CHECK: true })), "length");
  const prefill_result = { disaggregated_params: "dummy" };
  assert.equal(tokens(await decode.ask([1], { ...max(2), prefill_result })).length, 2);
});

test("stop tokens count if they are asked to, not before the least length", async () => {
  const honest = ["--honour-stops", "--eos-rate", "1"];
  const rig = await startMockerRig(...honest);
  const chunks = await rig.ask([1], { ...max(9, { min_tokens: 3 }), eos_token_ids: [257] });
  assert.deepEqual([tokens(chunks).length, tokens(chunks).at(-1), end(chunks)], [3, 257, "stop"]);
  const ignoring = await rig.ask([1], { ...max(9, { ignore_eos: true }), eos_token_ids: [257] });
  assert.equal(tokens(ignoring).length, 9);
  const peer = await startMockerRig();
  assert.equal(end(await peer.ask([1], { ...max(9), eos_token_ids: [257] })), "length");
});

test("an answer is the same for the same prompt and seed; the next turn finds it if it may", async () => {
  const [rig, other] = [await startMockerRig("--block-size", "4", "--cache-answers"), await startMockerRig()];
  const prompt = promptOf(1, 8);
  const answer = tokens(await rig.ask(prompt, max(9)));
  assert.deepEqual(tokens(await other.ask(prompt, max(9))), answer);
  assert.notDeepEqual(tokens(await other.ask(prompt, { ...max(9), sampling_options: { seed: 5n } })), answer);
  assert.equal(cached((await rig.ask([...prompt, ...answer], max(1)))[0]), 16);
});

test("log-probabilities come when they are asked for", async () => {
  const rig = await startMockerRig();
  const chunks = await rig.ask([1], { ...max(1), output_options: { logprobs: 2 } });
  assert.deepEqual([chunks[0]?.chunk.log_probs?.length, chunks[0]?.chunk.top_logprobs?.[0]?.length], [1, 3]);
});

test("faults on purpose: requests that fail or hang, passes that stall, a late start", async () => {
  const failing = await startMockerRig("--fail-rate", "1");
  await assert.rejects(failing.ask([1]), /a fault on purpose/);
  const hanging = await startMockerRig("--hang-rate", "1");
  const control = new AbortController();
  const stream = hanging.ask([1], max(4), hanging.context({ signal: control.signal }));
  await hanging.context().clock.sleepUntil(hanging.now() + 60_000);
  control.abort();
  assert.equal(end(await stream), "cancelled");
  const late = await startMockerRig("--stall-rate", "1", "--stall-time", "2");
  const begin = late.now();
  const [first] = await late.ask([1], max(1));
  assert.ok(first!.at - begin >= 2000);
});

test("a start-up counts from the start of the engine, and requests that come earlier wait for its end", async () => {
  const rig = await startMockerRig("--startup-time", "3");
  const begin = rig.now();
  await rig.context().clock.sleepUntil(begin + 1000);
  const [early] = await rig.ask([1], max(1));
  assert.equal(Math.floor((early!.at - begin) / 1000), 3, `${early!.at - begin}`);
  const later = rig.now();
  const [next] = await rig.ask([2], max(1));
  assert.ok(next!.at - later < 100);
});

test("a slow start keeps the worker from serving, unless it is to stop before", async () => {
  const { engine } = await parseWorkerArgs(["--slow-start", "3"], module);
  const clock = createEngineClock(new VirtualClock(new FakeClock()));
  const begin = clock.now();
  await engine.start(1n, new AbortController().signal, fakeContext({ clock }));
  assert.equal(clock.now() - begin, 3000);
  const stop = new AbortController();
  const starting = engine.start(1n, stop.signal, fakeContext({ clock }));
  stop.abort();
  await starting;
  assert.ok(clock.now() - begin < 6000);
});

test("cleanup ends every stream as cancelled, also one that waits", async () => {
  const rig = await startMockerRig("--max-num-seqs", "1");
  const streams = [rig.ask([1], max(5000)), rig.ask([2], max(5000))];
  await rig.context().clock.sleepUntil(rig.now() + 100);
  await rig.engine.cleanup();
  assert.deepEqual((await Promise.all(streams)).map(end), ["cancelled", "cancelled"]);
});

test("metrics have the names of the engine that is imitated", async () => {
  const text = async (...flags: string[]) => {
    const rig = await startMockerRig(...flags);
    assert.equal(await rig.engine.metricsSources?.()[0]?.expfmt?.(), "");
    await rig.ask([1, 2, 3], { ...max(3), model: 'a "b"' });
    return await rig.engine.metricsSources?.()[0]?.expfmt?.() ?? "";
  };
  const vllm = await text("--data-parallel-size", "2");
  assert.match(vllm, /^vllm:num_requests_running\{model_name="a \\"b\\"",engine="1"\} 0$/m);
  assert.match(vllm, /^vllm:time_to_first_token_seconds_bucket\{.*engine="0",le="0.02"\} 1$/m);
  assert.match(vllm, /^vllm:inter_token_latency_seconds_count\{.*engine="0"\} 2$/m);
  const sglang = await text("--engine-type", "sglang");
  assert.match(sglang, /^sglang:num_requests_total\{.*engine_type="sglang"\} 1$/m);
  assert.match(await text("--disaggregation-mode", "prefill"), /^vllm:time_to_first_token_seconds_count\{.*\} 0$/m);
});

test("settings that exclude each other are bad usage", async () => {
  const parse = (...flags: string[]) => parseWorkerArgs(flags, module);
  await assert.rejects(parse("--block-size", "1"), /block_size must be at least two/);
  await assert.rejects(parse("--extra-engine-args", '{"block_size":16}'), /unknown field `block_size`/);
  await assert.rejects(parse("--extra-engine-args", '{"engine":{"worker_type":"decode"}}'), /--disaggregation-mode/);
  await assert.rejects(parse("--extra-engine-args", "/no/such/file.json"), /no such file/i);
  await assert.rejects(parse("--disaggregation-mode", "encode"), /choose agg, prefill or decode/);
  await assert.rejects(parse("--kv-transfer-bandwidth", "1"), /--kv-bytes-per-token/);
  const { options } = await parse("--disaggregation-mode", "prefill");
  assert.equal(options.component, "prefill");
});
