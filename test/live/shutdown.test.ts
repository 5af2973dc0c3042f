/**
 * Being told to stop, with requests in flight, through Dynamo's own frontend.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventNames } from "../support/fault_events.ts";
import { seedOf } from "../support/fault_scenarios.ts";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { type Child, pause, until } from "../support/processes.ts";
import { startReadyStator, startStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const FAULT_WORKER = "test/support/fault_engine.ts";

/** By then a frontend knows that the engine has the request, and lets it end whatever becomes of the record. */
const PROLOGUE_SENT_MS = 300;

test("SIGTERM lets 64 streams end normally", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("drain");
  await using frontend = await startFrontend(store);
  const before = store.keys();
  await using worker = await startReadyStator(store, {
    args: ["--delay", "0.05"],
    env: { DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "2" },
  });
  await frontend.listed(TINY_MODEL);

  // 60 tokens of 50 ms take 3 s, one second longer than the grace period.
  let chunks = 0;
  const body = chat(TINY_MODEL, "hi", { max_tokens: 60 });
  const streams = Array.from({ length: 64 }, () => frontend.stream(CHAT, body, { onEvent: () => chunks++ }));
  await until("all streams to run", 20_000, () => chunks >= 64 * 2);
  const begin = performance.now();
  worker.signal("SIGTERM");
  for (const stream of await Promise.all(streams)) {
    assert.deepEqual([stream.status, stream.text.length, stream.finishReason, stream.error, stream.done], [
      200,
      60,
      "length",
      undefined,
      true,
    ]);
  }
  const exit = await worker.exit(30_000);
  console.log(`64 of 64 streams ended normally, exit ${(performance.now() - begin).toFixed(0)} ms after SIGTERM`);
  assert.deepEqual(exit, { code: 0, signal: null });
  assert.deepEqual(store.keys(), before, "the store holds nothing of the worker");
});

test("requests that outlive the deadline end with an error that can be retried", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("deadline");
  await using frontend = await startFrontend(store);
  const before = store.keys();
  await using worker = await startReadyStator(store, {
    program: FAULT_WORKER,
    env: { DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT: "3" },
  });
  await frontend.listed(TINY_MODEL);
  const body = chat(TINY_MODEL, "hi", { seed: seedOf("slow"), max_tokens: 1000 });
  const stream = frontend.stream(CHAT, body);
  const deaf = frontend.post(CHAT, chat(TINY_MODEL, "hi", { seed: seedOf("deaf"), max_tokens: 1000 }));
  await until("both to run", 10_000, () => running(worker) === 2);
  await pause(PROLOGUE_SENT_MS);
  worker.signal("SIGTERM");
  const expected = { message: "Service temporarily unavailable", code: 503 };
  const { error, done } = await stream;
  assert.deepEqual({ message: error?.message, code: error?.code, done }, { ...expected, done: true });
  assert.equal((await deaf).status, 503);
  assert.deepEqual(await worker.exit(20_000), { code: 3, signal: null });
  assert.equal(eventNames(worker).filter((event) => event === "cleanup").length, 1);
  assert.deepEqual(store.keys(), before);
});

test("requests that have only just begun survive SIGTERM", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("held");
  await using frontend = await startFrontend(store);
  for (let round = 0; round < 5; round++) {
    await using worker = await startReadyStator(store, { program: FAULT_WORKER });
    await frontend.listed(TINY_MODEL);
    // The first chunk takes 50 ms, so the signal comes while prologues are still held back. A frontend drops requests
    // without a prologue when the worker's record goes.
    const body = chat(TINY_MODEL, "hi", { seed: seedOf("slow"), max_tokens: 6 });
    const answers = Array.from({ length: 16 }, () => frontend.post(CHAT, body));
    await until("all to run", 10_000, () => running(worker) === 16);
    worker.signal("SIGTERM");
    assert.deepEqual((await Promise.all(answers)).map((answer) => answer.status), Array(16).fill(200));
    assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
    await until("the frontend to list nothing", 20_000, async () => (await frontend.models()).length === 0);
  }
});

test("SIGTERM during start ends without registering", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("stop-start");
  await using worker = await startStator(store, { program: FAULT_WORKER, env: { STATOR_TEST_START_MS: "2000" } });
  await worker.waitFor(/"event":"start"/, 20_000);
  worker.signal("SIGTERM");
  const everSeen = watchKeys(() => store.keys("v1/instances"));
  assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
  assert.deepEqual(await everSeen.stop(), [], "it never registered");
  assert.deepEqual(eventNames(worker).filter((event) => event.startsWith("clean")), ["cleanup", "cleaned up"]);
});

test("a second SIGTERM forces the end, and cleanup still runs", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("force");
  await using frontend = await startFrontend(store);
  const before = store.keys();
  await using worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(TINY_MODEL);
  const answer = frontend.post(CHAT, chat(TINY_MODEL, "hi", { seed: seedOf("slow"), max_tokens: 1000 }));
  await until("the request to run", 10_000, () => running(worker) === 1);
  await pause(PROLOGUE_SENT_MS);
  worker.signal("SIGTERM");
  await pause(500);
  const begin = performance.now();
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(10_000), { code: 3, signal: null });
  console.log(`exit ${(performance.now() - begin).toFixed(0)} ms after the second SIGTERM`);
  assert.equal((await answer).status, 503);
  assert.deepEqual(eventNames(worker).filter((event) => event.startsWith("clean")), ["cleanup", "cleaned up"]);
  assert.deepEqual(store.keys(), before);
});

test("SIGINT is SIGTERM", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("sigint");
  await using worker = await startReadyStator(store, { program: FAULT_WORKER, env: { STATOR_TEST_CLEANUP_MS: "300" } });
  worker.signal("SIGINT");
  assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
  const lifecycle = ["start", "started", "drain", "cleanup", "cleaned up"];
  assert.deepEqual(eventNames(worker), lifecycle);
  assert.deepEqual(store.keys(), []);
});

/** Requests that have reached the engine. */
function running(worker: Child): number {
  return eventNames(worker).filter((event) => event === "generate").length;
}

/** Remembers every key it sees until it is stopped. */
function watchKeys(list: () => string[]): { stop(): Promise<string[]> } {
  const seen = new Set<string>();
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) {
      list().forEach((key) => seen.add(key));
      await pause(10);
    }
  })();
  return {
    stop: async () => {
      isStopped = true;
      await watching;
      return [...seen];
    },
  };
}
