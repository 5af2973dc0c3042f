/** Several workers of one process: who begins when, with which settings, and how all of them end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { beginTimes, Fleet, optionsOf } from "../../src/worker/fleet.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { endless, keys } from "../support/worker_life.ts";
import { eventually, platformWith, type Probe, probeEngine } from "../support/worker_rig.ts";

interface Rig {
  readonly fleet: Fleet;
  readonly probes: readonly Probe[];
  readonly ids: readonly bigint[];
  readonly store: MemStore;
  readonly lines: readonly string[];
  readonly clock: FakeClock;
}

/** Workers that have not begun; `members` has the hooks of each engine. */
function fleetOf(members: readonly Partial<Engine>[], options: WorkerOptions = {}): Rig {
  const ids: bigint[] = [];
  const made = members.map((hooks) =>
    probeEngine(endless, {
      ...hooks,
      start: (id, signal, ctx) => {
        ids.push(id);
        return hooks.start?.(id, signal, ctx) ?? Promise.resolve({ model: "probe" });
      },
    })
  );
  const [store, clock, lines] = [new MemStore(), new FakeClock(), [] as string[]];
  const log = createLog({ level: "info", wallTime: () => 0, write: (line) => void lines.push(line) });
  const parts = {
    platform: platformWith({ clock }),
    options: resolveOptions({ ...options }, {}),
    log,
    memStore: store,
  };
  const fleet = new Fleet(made.map(({ engine }) => engine), parts);
  return { fleet, probes: made.map(({ probe }) => probe), ids, store, lines, clock };
}

test("each worker has an engine, an identity, a record and a card of its own; one stop ends all", async () => {
  const { fleet, probes, ids, store, lines } = fleetOf([{}, {}, {}]);
  fleet.begin();
  await fleet.ready;
  assert.equal(new Set(ids).size, 3);
  assert.equal(keys(store).length, 6);
  const served = lines.filter((line) => line.includes("Serving probe"));
  assert.deepEqual(served.map((line) => /worker=(\d)/.exec(line)?.[1]).sort(), ["0", "1", "2"]);
  fleet.stop();
  assert.deepEqual(await fleet.finished, { exitCode: 0, error: null });
  assert.deepEqual(keys(store), []);
  assert.deepEqual(probes.map(({ starts, cleanups }) => [starts, cleanups]), Array(3).fill([1, 1]));
});

test("a worker that cannot start ends the others in order, and says why", async () => {
  const starting = Promise.withResolvers<never>();
  const { fleet, probes, store } = fleetOf([{}, { start: () => starting.promise }, {}]);
  fleet.begin();
  await eventually("two workers to be there", () => keys(store).length === 4);
  starting.reject(new DynamoError("CannotConnect", "no device"));
  const { exitCode, error } = await fleet.finished;
  assert.deepEqual([exitCode, error?.kind, error?.message], [1, "CannotConnect", "no device"]);
  await assert.rejects(fleet.ready, { kind: "CannotConnect" });
  assert.deepEqual(keys(store), []);
  assert.deepEqual(probes.map(({ drains, cleanups }) => [drains, cleanups]), [[1, 1], [0, 1], [1, 1]]);
});

test("the first signal after a worker failed forces nothing, a second one does", async () => {
  const drained = Promise.withResolvers<void>();
  const signals: AbortSignal[] = [];
  const drain = (signal: AbortSignal) => (signals.push(signal), drained.promise);
  const failing = Promise.withResolvers<never>();
  const { fleet, store } = fleetOf([{ start: () => failing.promise }, { drain }]);
  fleet.begin();
  await eventually("the other to serve", () => keys(store).length === 2);
  failing.reject(new Error("gone"));
  await eventually("the other to drain", () => signals.length === 1);
  fleet.stop();
  assert.equal(signals[0]!.aborted, false);
  fleet.stop();
  assert.equal(signals[0]!.aborted, true);
  assert.equal((await fleet.finished).exitCode, 1);
  drained.resolve();
});

test("a second stop forces all workers", async () => {
  const hang = { drain: () => new Promise<void>(() => {}) };
  const { fleet, probes } = fleetOf([hang, {}, hang]);
  fleet.begin();
  await fleet.ready;
  fleet.stop();
  await eventually("the engines to drain", () => probes.every(({ drains }) => drains === 1));
  fleet.stop();
  assert.equal((await fleet.finished).exitCode, 3);
  assert.ok(probes.every(({ cleanups }) => cleanups === 1));
});

test("an error nobody caught fails all workers, whoever it belongs to", async () => {
  const { fleet, probes } = fleetOf([{}, {}]);
  fleet.begin();
  await fleet.ready;
  fleet.fail(new TypeError("x is undefined"));
  const { exitCode, error } = await fleet.finished;
  assert.deepEqual([exitCode, error?.message], [4, "TypeError: x is undefined"]);
  assert.ok(probes.every(({ cleanups }) => cleanups === 1));
});

test("workers begin one delay after the other, and those that have not begun when all end never do", async () => {
  const { fleet, probes, clock } = fleetOf([{}, {}, {}], { staggerDelaySeconds: 5 });
  const starts = () => probes.map((probe) => probe.starts);
  fleet.begin();
  await eventually("the first to start", () => probes[0]!.starts === 1);
  await clock.advance(4999);
  assert.deepEqual(starts(), [1, 0, 0]);
  await clock.advance(1);
  await eventually("the second to start", () => probes[1]!.starts === 1);
  fleet.stop();
  assert.deepEqual(await fleet.finished, { exitCode: 0, error: null });
  await clock.advance(10_000);
  assert.deepEqual(starts(), [1, 1, 0]);
});

for (
  const [workers, delay, expected] of [
    [3, 0, { 2: 0 }],
    [3, 0.5, { 0: 0, 1: 500, 2: 1000 }],
    [34, 1, { 31: 31_000, 32: 34_000, 33: 35_000 }],
    [32, -1, { 31: 0 }],
    [33, -1, { 31: 3100, 32: 5200 }],
    [128, -1, { 127: 18_700 }],
    [129, -1, { 128: 33_600 }],
  ] as const
) {
  test(`${workers} workers with a delay of ${delay} s`, () => {
    const times = beginTimes(workers, delay);
    assert.equal(times.length, workers);
    for (const [place, ms] of Object.entries(expected)) assert.equal(Math.round(times[Number(place)]!), ms, place);
  });
}

test("a delay that makes no sense is bad usage", () => {
  assert.throws(() => beginTimes(2, -0.5), { name: "UsageError", message: /--stagger-delay: -0.5 is neither -1/ });
});

test("what only one worker can have is the first one's, and counts up from there", () => {
  const set = resolveOptions({ tcpRpcPort: 7000, systemPort: 8000, stableRoutingId: "pod" }, {});
  const { tcpRpcPort, systemPort, stableRoutingId } = optionsOf(set, 2);
  assert.deepEqual([tcpRpcPort, systemPort, stableRoutingId], [7002, 8002, "pod-2"]);
  const free = optionsOf(resolveOptions({ systemPort: 0 }, {}), 2);
  assert.deepEqual([free.tcpRpcPort, free.systemPort, free.stableRoutingId], [0, 0, undefined]);
  assert.equal(optionsOf(resolveOptions({ systemPort: -1 }, {}), 2).systemPort, -1);
});
