/**
 * Mock prefill and decode workers that meet before the prompt is computed, ours and Dynamo's, behind Dynamo's frontend.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, COMPLETIONS, startFrontend } from "../support/frontend.ts";
import { type Maker, measure, startMocker } from "../support/mocker_load.ts";
import { DYNAMO_ALONE, notTwice, requirePeers, TINY_WORDS_MODEL } from "../support/peers.ts";
import { freePort, pause, until } from "../support/processes.ts";
import { makeStore } from "../support/store.ts";

const PAIRS: readonly (readonly [prefill: Maker, decode: Maker])[] = [
  ["stator", "stator"],
  ["stator", "dynamo"],
  ["dynamo", "stator"],
  ["dynamo", "dynamo"],
];
const CHATS = 24;

for (const [prefillMaker, decodeMaker] of PAIRS) {
  const skip = prefillMaker === "dynamo" && decodeMaker === "dynamo" && notTwice(DYNAMO_ALONE);
  test(`${prefillMaker} prefill and ${decodeMaker} decode meet`, { timeout: 120_000, skip }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("mocker-bootstrap");
    await using frontend = await startFrontend(store);
    const [prefillPort, decodePort, meetingPort] = [await freePort(), await freePort(), await freePort()];
    // A token takes a millisecond from one to the other.
    const flags = ["--block-size", "16", "--kv-bytes-per-token", "1000", "--kv-transfer-bandwidth", "0.001"];
    const meeting = ["--disaggregation-mode", "prefill", "--bootstrap-ports", String(meetingPort)];
    const env = (port: number) => ({ DYN_SYSTEM_PORT: String(port), DYN_HTTP_RPC_HOST: "127.0.0.1" });
    await using _prefill = await startMocker(store, prefillMaker, [...flags, ...meeting], env(prefillPort));
    const decoding = [...flags, "--disaggregation-mode", "decode"];
    await using _decode = await startMocker(store, decodeMaker, decoding, env(decodePort));
    for (const component of ["prefill", "backend"]) {
      const prefix = `v1/instances/dynamo/${component}/generate/`;
      await until(`a worker of ${component}`, 30_000, () => store.keys(prefix).length >= 1);
    }
    await frontend.listed(TINY_WORDS_MODEL);
    const body = { model: TINY_WORDS_MODEL, prompt: [1, 2, 3], max_tokens: 2 };
    await until("an answer", 30_000, async () => (await frontend.post(COMPLETIONS, body)).status === 200)
      .catch(async () => assert.fail(JSON.stringify((await frontend.post(COMPLETIONS, body)).body)));

    const answers = await Promise.all(Array.from({ length: CHATS }, (_, i) => {
      const words = chat(TINY_WORDS_MODEL, `hello ${i}`, { max_tokens: 6 });
      return frontend.stream(CHAT, { ...words, stream_options: { include_usage: true } });
    }));
    for (const { done, finishReason, error, events } of answers) {
      assert.deepEqual([done, finishReason, error], [true, "length", undefined]);
      assert.equal(events.at(-1)?.usage?.completion_tokens, 6);
    }

    const load = { concurrent: 1, rounds: 10, promptTokens: 64, sharedTokens: 48, maxTokens: 8 };
    const { ttft, itl, cached } = await measure(frontend, load, 1);
    console.log(
      `prefill ${prefillMaker}, decode ${decodeMaker}: ttft ${ttft.toFixed(1)} ms, itl ${itl.toFixed(1)} ms`,
    );
    assert.equal(cached, 0, "a decode worker that has not met the other would find the prefix in its own cache");

    const control = new AbortController();
    const long = { model: TINY_WORDS_MODEL, prompt: Array.from({ length: 400 }, (_, i) => 300 + i), max_tokens: 500 };
    const given = frontend.stream(COMPLETIONS, long, { signal: control.signal }).then(
      () => "answered",
      () => "given up",
    );
    // Somewhere in the 400 ms of the transfer; wherever it is, nothing may stay.
    await pause(200);
    control.abort();
    assert.equal(await given, "given up");
    for (const port of [prefillPort, decodePort]) {
      await until(`the worker at ${port} to be empty`, 20_000, async () => (await busy(port)).length === 0)
        .catch(async () => assert.fail((await busy(port)).join("\n")));
    }
  });
}

/** Gauges of a mock engine that are not 0. */
async function busy(port: number): Promise<string[]> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const gauges = /^vllm:(?:num_requests_running|num_requests_waiting|kv_cache_usage_perc)\{.*$/gm;
  return [...text.matchAll(gauges)].map(([line]) => line).filter((line) => !line.endsWith(" 0"));
}
