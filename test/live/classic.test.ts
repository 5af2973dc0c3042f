/**
 * Everything that Dynamo had before it could do without: discovery on etcd, requests and KV events over NATS, all of it
 * real, with Dynamo's own frontend and worker.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEtcdStore } from "../support/etcd.ts";
import { CHAT, chat, COMPLETIONS, type Frontend } from "../support/frontend.ts";
import { ask, prompt, requestsOver, startEngine, startKvFrontend, startNats } from "../support/kv_fleet.ts";
import { requirePeers, TINY_MODEL, TINY_WORDS_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { startReadyStator } from "../support/stator.ts";
import type { Store } from "../support/store.ts";

const INSTANCES = "v1/instances/dynamo/sample/generate/";
const ARGS = ["--discovery-backend", "etcd", "--request-plane", "nats", "--event-plane", "nats", "--delay", "0.05"];
const STREAMS = 16;
const TOKENS = 60;

test("on etcd and NATS a Stator worker answers beside Dynamo's, and its end loses no streams", {
  timeout: 120_000,
}, async (t) => {
  if (!requirePeers(t)) return;
  await using etcd = await makeEtcdStore("classic", 10);
  await etcd.start();
  await using nats = await startNats();
  const store: Store = { ...etcd.store, env: { ...etcd.store.env, ...requestsOver(nats) } };
  await using frontend = await startKvFrontend(store);
  await using _theirs = startPythonWorker(store, { model: TINY_MODEL, args: ARGS });
  await frontend.listed(TINY_MODEL);
  const [their] = await etcd.keys(INSTANCES);
  await using ours = await startReadyStator(store, {
    args: ARGS,
    env: { DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "1" },
  });
  const mine = async () => (await etcd.keys()).filter(({ lease }) => lease !== their!.lease);
  const [our] = (await mine()).filter(({ key }) => key.startsWith(INSTANCES));
  await until("both to answer", 20_000, async () => {
    const workers = await Promise.all([1, 2, 3, 4].map((number) => workerOf(frontend, number)));
    return workers.includes(our!.lease) && workers.includes(their!.lease);
  });

  let chunks = 0;
  const body = chat(TINY_MODEL, "hi", { max_tokens: TOKENS });
  const streams = Array.from({ length: STREAMS }, () => frontend.stream(CHAT, body, { onEvent: () => chunks++ }));
  await until("the streams to run", 20_000, () => chunks >= STREAMS * 2);
  ours.signal("SIGTERM");
  for (const { status, text, finishReason, error, done } of await Promise.all(streams)) {
    assert.deepEqual([status, text.length, finishReason, error, done], [200, TOKENS, "length", undefined, true]);
  }
  assert.deepEqual(await ours.exit(30_000), { code: 0, signal: null });
  const [, inFlight] = /Readiness withdrawn in_flight=(\d+)/.exec(ours.output())!;
  console.log(`${inFlight} of ${STREAMS} streams ran on the worker that ended`);
  assert.ok(Number(inFlight) > 0, ours.output());
  assert.deepEqual(await mine(), []);

  // The sample's blocks are none of its prompts'; this engine tells of those that it has.
  await using _caching = await startEngine(store, { PREFIX_CACHE_MODEL: TINY_WORDS_MODEL });
  await frontend.listed(TINY_WORDS_MODEL);
  let seed = 0;
  await until("a prompt to be known by its event", 20_000, async () => {
    const again = { model: TINY_WORDS_MODEL };
    await ask(frontend, prompt(++seed), again);
    return (await ask(frontend, prompt(seed), again)).hitRate === 1;
  });
  assert.equal((await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 2 }))).status, 200);
  // It complains of a lease that is as short as it is here.
  assert.deepEqual(frontend.complaints().filter((line) => !line.includes("lease_ttl_secs")), []);
});

/** Who answers a prompt. An id of etcd's has more digits than a number of JavaScript holds. */
async function workerOf(frontend: Frontend, number: number): Promise<string | undefined> {
  const body = { model: TINY_MODEL, prompt: prompt(number), max_tokens: 1, nvext: { extra_fields: ["worker_id"] } };
  const headers = { "content-type": "application/json" };
  const response = await fetch(frontend.url + COMPLETIONS, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return /"decode_worker_id":(\d+)/.exec(text)?.[1];
}
