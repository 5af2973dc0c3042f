/** Starts that fail, hang, or are called off. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog, SILENT } from "../../src/observe/log.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { startEngine } from "../../src/worker/engine_start.ts";
import { ShutdownBudget } from "../../src/worker/shutdown.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { endless, keys, makeWorker, outcomeOf, passUntil, sockets } from "../support/worker_life.ts";
import { eventually, probeEngine } from "../support/worker_rig.ts";

test("a start that rejects: cleanup once, exit code 1, nothing published", async () => {
  for (
    const [thrown, kind] of [[new Error("no device"), "EngineShutdown"], [
      new DynamoError("CannotConnect", "x"),
      "CannotConnect",
    ]] as const
  ) {
    const { engine, probe } = probeEngine(endless, { start: () => Promise.reject(thrown) });
    const { worker, store } = makeWorker(engine);
    const events: string[] = [];
    store.watch("v1/mdc", ({ kind }) => events.push(kind));
    await assert.rejects(worker.start(), (error) => error instanceof DynamoError && error.kind === kind);
    const outcome = await worker.finished;
    assert.equal(outcome.exitCode, 1);
    assert.match(outcome.error!.message, new RegExp(thrown.message));
    assert.deepEqual([probe.starts, probe.cleanups, probe.drains], [1, 1, 0]);
    assert.deepEqual(events, []);
  }
});

test("a start that throws at once is a failed start too", async () => {
  const { engine, probe } = probeEngine(endless, {
    start: () => {
      throw new Error("sync");
    },
  });
  const { worker } = makeWorker(engine);
  await assert.rejects(worker.start(), /sync/);
  assert.equal((await worker.finished).exitCode, 1);
  assert.equal(probe.cleanups, 1);
});

test("a start that names no model is refused", async () => {
  const { engine, probe } = probeEngine(endless, { start: () => Promise.resolve({ model: "" }) });
  const { worker } = makeWorker(engine);
  await assert.rejects(worker.start(), { kind: "InvalidArgument" });
  assert.deepEqual([(await worker.finished).exitCode, probe.cleanups], [1, 1]);
});

test("a configuration the contract refuses: start and cleanup ran, exit code 1", async () => {
  const { engine, probe } = probeEngine(endless);
  const { worker, store } = makeWorker(engine, { endpointTypes: "chat,foo" });
  await assert.rejects(worker.start(), { kind: "InvalidArgument", message: /foo/ });
  assert.deepEqual([(await worker.finished).exitCode, probe.starts, probe.cleanups], [1, 1, 1]);
  assert.deepEqual(keys(store), []);
});

test("a stop during start: its signal aborts, nothing is published, cleanup runs after it, exit code 0", async () => {
  const order: string[] = [];
  const { engine, probe } = probeEngine(endless, {
    start: async (_id, signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      await sockets();
      order.push("start ends");
      return { model: "late" };
    },
    cleanup: () => void order.push("cleanup"),
  });
  const { worker, store } = makeWorker(engine);
  const events: string[] = [];
  store.watch("v1/mdc", ({ kind }) => events.push(kind));
  const starting = worker.start();
  await eventually("start to be called", () => probe.starts === 1);
  assert.equal((await worker.stop()).exitCode, 0);
  await assert.rejects(starting);
  assert.deepEqual(order, ["start ends", "cleanup"]);
  assert.deepEqual(events, []);
});

test("a start that rejects because it was told to stop is no failure", async () => {
  const { engine, probe } = probeEngine(endless, {
    start: (_id, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("gave up")))),
  });
  const { worker } = makeWorker(engine);
  worker.start().catch(() => {});
  await eventually("start to be called", () => probe.starts === 1);
  assert.deepEqual(await worker.stop(), { exitCode: 0, error: null });
  assert.equal(probe.cleanups, 1);
});

test("a start that hangs is waited for until its time is up, then cleanup has its own; exit code 3", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(endless, {
    start: () => new Promise(() => {}),
    cleanup: async () => {
      await new Promise<void>((resolve) => clock.timer(500, resolve));
      cleaned = true;
    },
  });
  let cleaned = false;
  const { worker } = makeWorker(engine, {}, clock);
  worker.start().catch(() => {});
  await eventually("start to be called", () => probe.starts === 1);
  await clock.advance(120_000);
  const stoppedAt = clock.now();
  const stopping = worker.stop();
  await clock.advance(24_900);
  assert.equal(probe.cleanups, 0);
  await passUntil(clock, "cleanup", () => cleaned);
  assert.ok(clock.now() - stoppedAt < 30_000);
  assert.equal((await outcomeOf(clock, stopping)).exitCode, 3);
  assert.equal(probe.cleanups, 1);
});

test("a second stop does not wait for a start that hangs", async () => {
  const { engine, probe } = probeEngine(endless, { start: () => new Promise(() => {}) });
  const { worker } = makeWorker(engine);
  worker.start().catch(() => {});
  await eventually("start to be called", () => probe.starts === 1);
  worker.stop();
  assert.equal((await worker.stop()).exitCode, 3);
  assert.equal(probe.cleanups, 1);
});

test("a worker that is stopped before it was started never starts its engine", async () => {
  const { engine, probe } = probeEngine(endless);
  const { worker } = makeWorker(engine);
  assert.deepEqual(await worker.stop(), { exitCode: 0, error: null });
  await assert.rejects(worker.start(), /stopped before it was ready/);
  assert.deepEqual([probe.starts, probe.cleanups], [0, 0]);
});

test("a start that takes its time says so every 30 s, with the worker's id before and the time it took after", async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ wallTime: () => 0, write: (line) => void lines.push(line) });
  const loaded = Promise.withResolvers<{ model: string }>();
  const { engine } = probeEngine(endless, { start: () => loaded.promise });
  const budget = new ShutdownBudget({ clock, log, timeoutSeconds: 30, graceSeconds: 0 });
  const { signal } = new AbortController();
  const started = startEngine({
    engine,
    instanceId: 0xabcn,
    stop: signal,
    budget,
    clock,
    engineClock: createEngineClock(clock),
    engineLog: SILENT,
    log,
  });
  await clock.advance(65_000);
  loaded.resolve({ model: "m" });
  assert.deepEqual(await started, { model: "m" });
  assert.deepEqual(lines.map((line) => line.replace(/^.*? INFO /, "")), [
    "Starting engine instance=abc",
    "Engine is still starting after_ms=30000",
    "Engine is still starting after_ms=60000",
    "Engine started model=m after_ms=65000",
  ]);
  assert.equal(clock.pendingTimers, 0);
});
