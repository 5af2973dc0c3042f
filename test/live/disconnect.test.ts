/**
 * HTTP clients of Dynamo's own frontend that leave early: the engine is told, and the slot is free again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventNames, type FaultEvent, faultEvents } from "../support/fault_events.ts";
import { seedOf } from "../support/fault_scenarios.ts";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { type Child, pause, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

/** The engine has to know within a second; the rest is for a loaded machine. */
const TOLD_WITHIN_MS = 3_000;

test("the engine is told when a client leaves", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("disconnect");
  await using frontend = await startFrontend(store);
  // With room for one request only, the next case cannot run before the slot of the last one is free.
  await using worker = await startReadyStator(store, {
    program: "test/support/fault_engine.ts",
    env: { DYN_ENGINE_REQUEST_LIMIT: "1", DYN_DYNAMO_REQUEST_QUEUE_LIMIT: "1" },
  });
  await frontend.listed(TINY_MODEL);

  const cases = [
    { name: "stream, after three chunks", scenario: "slow", stream: true, chunks: 3 },
    { name: "stream, before the first chunk", scenario: "silent", stream: true, chunks: 0 },
    { name: "unary, mid-answer", scenario: "slow", stream: false, chunks: 0 },
    { name: "unary, before the first chunk", scenario: "silent", stream: false, chunks: 0 },
    { name: "stream, of an engine that does not listen", scenario: "deaf", stream: true, chunks: 3 },
  ];
  for (const { name, scenario, stream, chunks } of cases) {
    await t.test(name, async () => {
      const seen = faultEvents(worker).length;
      const leftAt = await leave(frontend, worker, { scenario, stream, chunks });
      const events = () => faultEvents(worker).slice(seen);
      await until(
        "the engine to be told",
        TOLD_WITHIN_MS,
        () => timeOf(events(), "abort") && timeOf(events(), "signal"),
      );
      await until("the generator to end", TOLD_WITHIN_MS, () => timeOf(events(), "finally"));
      const late = ["signal", "abort", "finally"].map((event) =>
        `${event} +${(timeOf(events(), event) ?? 0) - leftAt} ms`
      );
      console.log(`${name}: ${late.join(", ")}`);
      assert.equal(events().filter((event) => event.event === "abort").length, 1, "abort is called once");
    });
  }
  const last = await frontend.post(CHAT, chat(TINY_MODEL, "x", { seed: seedOf("finish stop") }));
  assert.equal(last.status, 200, "the slot is free");
});

test("abort is not called for a request that ends by itself", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("no-abort");
  await using frontend = await startFrontend(store);
  await using worker = await startReadyStator(store, { program: "test/support/fault_engine.ts" });
  await frontend.listed(TINY_MODEL);
  await frontend.stream(CHAT, chat(TINY_MODEL, "x", { seed: seedOf("slow"), max_tokens: 4 }));
  await frontend.post(CHAT, chat(TINY_MODEL, "x", { seed: seedOf("throw Unknown after 2") }));
  await until(
    "both requests to end",
    5_000,
    () => eventNames(worker).filter((event) => event === "finally").length === 2,
  );
  await pause(200); // a late abort would come now
  assert.deepEqual(eventNames(worker).filter((event) => event === "abort" || event === "signal"), []);
});

interface Departure {
  readonly scenario: string;
  readonly stream: boolean;
  /** Chunks to wait for before leaving. */
  readonly chunks: number;
}

/** Asks, leaves, and returns when it left. */
async function leave(frontend: Frontend, worker: Child, { scenario, stream, chunks }: Departure): Promise<number> {
  const client = new AbortController();
  const body = chat(TINY_MODEL, "x", { seed: seedOf(scenario), max_tokens: 400 });
  const before = eventNames(worker).filter((event) => event === "generate").length;
  let count = 0, leftAt = 0;
  const go = () => {
    leftAt = Date.now();
    client.abort();
  };
  const onEvent = () => {
    if (++count === chunks) go();
  };
  const asked = stream
    ? frontend.stream(CHAT, body, { signal: client.signal, onEvent })
    : frontend.post(CHAT, body, client.signal);
  const failed = assert.rejects(asked, { name: "AbortError" });
  if (chunks === 0) {
    await until(
      "generate to run",
      10_000,
      () => eventNames(worker).filter((event) => event === "generate").length > before,
    );
    await pause(300);
    go();
  }
  await failed;
  return leftAt;
}

function timeOf(events: readonly FaultEvent[], name: string): number | undefined {
  return events.find((event) => event.event === name)?.at;
}
