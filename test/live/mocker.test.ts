/**
 * The mock engine behind Dynamo's own frontend, alone and together with Dynamo's own mocker.
 *
 * How fast it is beside that one is a matter of `deno task bench:mocker`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, COMPLETIONS, type Frontend, startFrontend } from "../support/frontend.ts";
import { type Maker, measure, startMocker } from "../support/mocker_load.ts";
import { DYNAMO_ALONE, notTwice, requirePeers, TINY_WORDS_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { makeStore, type Store } from "../support/store.ts";

async function ready(frontend: Frontend): Promise<void> {
  const body = { model: TINY_WORDS_MODEL, prompt: [1, 2, 3], max_tokens: 2 };
  await until("an answer", 30_000, async () => (await frontend.post(COMPLETIONS, body)).status === 200);
}

test("a chat streams, and a request without a limit is refused in words", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("mocker");
  await using frontend = await startFrontend(store);
  await using _worker = await startMocker(store, "stator", ["--block-size", "16"]);
  await frontend.listed(TINY_WORDS_MODEL);
  await ready(frontend);
  const answer = await frontend.stream(CHAT, chat(TINY_WORDS_MODEL, "hello", { max_tokens: 5 }));
  assert.deepEqual([answer.finishReason, answer.done, answer.error], ["length", true, undefined]);
  assert.ok(answer.text.length > 0);
  const { status, body } = await frontend.post(CHAT, chat(TINY_WORDS_MODEL, "hello"));
  assert.equal(status, 400);
  assert.match(JSON.stringify(body), /max_tokens.* is required/);
});

test("a prompt goes to the rank and worker where its prefix is", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("mocker-kv");
  await using frontend = await startFrontend(store, {}, ["--router-mode", "kv"]);
  const flags = ["--block-size", "16", "--data-parallel-size", "2", "--speedup-ratio", "10"];
  const env = { DYN_EVENT_PLANE_HOST: "127.0.0.1" };
  await using _one = await startMocker(store, "stator", flags, env);
  await using _two = await startMocker(store, "stator", flags, env);
  await frontend.listed(TINY_WORDS_MODEL);
  await until("two workers", 20_000, () => store.keys("v1/instances/dynamo/backend/generate/").length === 2);
  await ready(frontend);
  const homes = new Map<number, string>();
  let same = 0;
  let cached = 0;
  for (let i = 0; i < 60; i++) {
    const seed = i % 10;
    const { body } = await frontend.post(COMPLETIONS, {
      model: TINY_WORDS_MODEL,
      prompt: Array.from({ length: 128 }, (_, at) => 300 + (seed * 7919 + at * 31 + seed * at) % 3000),
      max_tokens: 2,
      nvext: { extra_fields: ["worker_id"] },
    });
    const { decode_worker_id, decode_dp_rank } = body.nvext.worker_id;
    const home = `${decode_worker_id}/${decode_dp_rank}`;
    if (i >= 10 && homes.get(seed) === home) same++;
    if (i >= 10) cached += body.usage.prompt_tokens_details.cached_tokens;
    homes.set(seed, home);
  }
  console.log(`${same} of 50 to the same rank of ${new Set(homes.values()).size}, ${cached / 50} of 128 tokens cached`);
  assert.ok(same >= 49, `${same}`);
  assert.ok(cached >= 49 * 112, `${cached}`);
});

const PAIRS: readonly (readonly [prefill: Maker, decode: Maker])[] = [
  ["stator", "stator"],
  ["dynamo", "stator"],
  ["stator", "dynamo"],
  ["dynamo", "dynamo"],
];

for (const [prefillMaker, decodeMaker] of PAIRS) {
  const skip = prefillMaker === "dynamo" && decodeMaker === "dynamo" && notTwice(DYNAMO_ALONE);
  test(`${prefillMaker} prefill and ${decodeMaker} decode answer together`, { timeout: 120_000, skip }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("mocker-disagg");
    await using frontend = await startFrontend(store);
    const flags = ["--block-size", "16", "--kv-bytes-per-token", "1000000", "--kv-transfer-bandwidth", "1"];
    const port = await freePort();
    const system = { DYN_SYSTEM_PORT: String(port) };
    await using _prefill = await startMocker(
      store,
      prefillMaker,
      [...flags, "--disaggregation-mode", "prefill"],
      system,
    );
    await using _decode = await startMocker(store, decodeMaker, [...flags, "--disaggregation-mode", "decode"]);
    await bothThere(store);
    await frontend.listed(TINY_WORDS_MODEL);
    await ready(frontend);
    const load = { concurrent: 1, rounds: 3, promptTokens: 64, sharedTokens: 48, maxTokens: 16 };
    const { ttft, itl, cached } = await measure(frontend, load, 1);
    console.log(
      `prefill ${prefillMaker}, decode ${decodeMaker}: ttft ${ttft.toFixed(1)} ms, itl ${itl.toFixed(1)} ms, ${cached}`,
    );
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const counts = [...text.matchAll(/^dynamo_component_requests_total\{[^}]*\} (\d+)/gm)];
    const asked = Math.max(...counts.map(([, count]) => Number(count)));
    assert.ok(asked >= 3, `the prefill worker had ${asked} requests`);
  });
}

async function bothThere(store: Store): Promise<void> {
  for (const component of ["prefill", "backend"]) {
    const prefix = `v1/instances/dynamo/${component}/generate/`;
    await until(`a worker of ${component}`, 30_000, () => store.keys(prefix).length >= 1);
  }
}
