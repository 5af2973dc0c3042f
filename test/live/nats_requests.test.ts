/**
 * Requests over a real NATS, from Dynamo's own frontend.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventNames } from "../support/fault_events.ts";
import { seedOf } from "../support/fault_scenarios.ts";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requestsOver, startNats, startNatsOn } from "../support/kv_fleet.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const LIMIT = { timeout: 120_000 };
const FAULT_WORKER = "test/support/fault_engine.ts";

test("a worker answers beside Dynamo's own over NATS, and SIGTERM lets its streams end", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("nats-requests");
  await using nats = await startNats();
  const env = requestsOver(nats);
  await using frontend = await startFrontend(store, env);
  const args = ["--request-plane", "nats", "--delay", "0.05"];
  await using _python = startPythonWorker(store, { model: TINY_MODEL, args, env });
  await frontend.listed(TINY_MODEL);
  const others = store.keys();
  await using worker = await startReadyStator(store, {
    args,
    env: { ...env, DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "2" },
  });
  const [record] = store.records().filter(({ key }) => key.startsWith("v1/instances/") && !others.includes(key));
  assert.match(record!.text, /"nats_tcp":"dynamo_sample\.generate-[0-9a-f]+"/);
  const id = /"instance_id":(\d+)/.exec(record!.text)![1]!;
  await until("answers of both", 20_000, async () => {
    const { status, body } = await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 4 }));
    assert.deepEqual([status, body.choices[0].message.content], [200, `"#$%`]);
    return frontend.child.output().includes(`decode_worker_id=${id}`);
  });

  let chunks = 0;
  const body = chat(TINY_MODEL, "hi", { max_tokens: 60 });
  const streams = Array.from({ length: 64 }, () => frontend.stream(CHAT, body, { onEvent: () => chunks++ }));
  await until("all streams to run", 20_000, () => chunks >= 64 * 2);
  worker.signal("SIGTERM");
  for (const { status, text, finishReason, error } of await Promise.all(streams)) {
    assert.deepEqual([status, text.length, finishReason, error], [200, 60, "length", undefined]);
  }
  assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
  assert.deepEqual(store.keys(), others);
  assert.deepEqual(frontend.complaints(), []);
});

test("cancelled, refused, lost, and back again over NATS", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("nats-faults");
  await using nats = await startNats();
  const env = { ...requestsOver(nats), DYN_ENGINE_REQUEST_LIMIT: "1", DYN_DYNAMO_REQUEST_QUEUE_LIMIT: "0" };
  await using frontend = await startFrontend(store, env);
  const worker = await startReadyStator(store, { program: FAULT_WORKER, env });
  await using undo = new AsyncDisposableStack();
  undo.use(worker);
  await frontend.listed(TINY_MODEL);
  const answer = async () => {
    const { status } = await frontend.post(CHAT, chat(TINY_MODEL, "x", { seed: seedOf("finish stop") }));
    return status;
  };

  const leaving = new AbortController();
  const slow = chat(TINY_MODEL, "x", { seed: seedOf("slow"), max_tokens: 1000 });
  const stream = frontend.stream(CHAT, slow, { signal: leaving.signal }).catch(() => null);
  await until("it to run", 10_000, () => eventNames(worker).includes("generate"));
  assert.equal(await answer(), 529, "the refusal is understood");
  leaving.abort();
  await stream;
  await until("the engine to be told", 10_000, () => eventNames(worker).includes("abort"));
  await until("the way to be free", 20_000, async () => await answer() === 200);

  await nats[Symbol.asyncDispose]();
  await worker.waitFor(/Lost the connection to NATS/, 20_000);
  await using _again = startNatsOn(nats.port);
  await worker.waitFor(/Connected to NATS again/, 20_000);
  await until("answers again", 20_000, async () => await answer() === 200);

  worker.signal("SIGKILL");
  await worker.exit(10_000);
  const begin = performance.now();
  assert.equal(await answer(), 503);
  console.log(`nobody there: 503 after ${(performance.now() - begin).toFixed(0)} ms`);
  await using _next = await startReadyStator(store, { program: FAULT_WORKER, env });
  await until("answers of another", 20_000, async () => await answer() === 200);
});
