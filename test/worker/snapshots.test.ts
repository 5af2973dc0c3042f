/** The state of an engine's cache on `/metrics` and at frontends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { SnapshotPublisher } from "../../src/engine/kv_source.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeKvMetrics } from "../../src/protocol/load_event.ts";
import type { Planes } from "../../src/worker/backends.ts";
import { openSnapshots } from "../../src/worker/snapshots.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { makeFakeEvents } from "../support/fake_events.ts";

const NAME = { namespace: "dynamo", component: "backend", endpoint: "generate" };
const MODEL = { model: "m", modelName: "served" };

async function rig(hooks: Partial<Engine>, hasEvents = true) {
  const clock = new FakeClock();
  const events = makeFakeEvents();
  const store = new MemStore();
  const discovery = await openMemDiscovery(store, realPlatform);
  const metrics = createMetrics({ instanceId: discovery.instanceId, now: () => clock.now() });
  metrics.endpoint(NAME);
  const opened = await openSnapshots(hooks as Engine, {
    ...{ metrics, name: NAME, model: MODEL, clock },
    events: hasEvents ? events : null,
    planes: { discovery } as unknown as Planes,
  });
  const told = () =>
    events.publishers.flatMap(({ payloads }) => payloads).map(decodeKvMetrics).map(({ dp_rank, kv_used_blocks }) =>
      `${dp_rank}: ${kv_used_blocks}`
    );
  const gauge = async (name: string, rank: number) => {
    const lines = (await metrics.text()).split("\n");
    const line = lines.find((each) => each.startsWith(`dynamo_component_${name}{dp_rank="${rank}"`));
    return line === undefined ? null : Number(line.split(" ").at(-1));
  };
  return { clock, events, store, opened, told, gauge };
}

/** Hooks of an engine with ranks, and the publisher it got. */
function engine(ranks: readonly number[]) {
  const got: { publisher?: SnapshotPublisher } = {};
  const hooks: Partial<Engine> = {
    componentMetricsDpRanks: () => ranks,
    attachSnapshotPublisher: (publisher) => void (got.publisher = publisher),
  };
  const tell = (rank: number, kvUsedBlocks: number, kvCacheHitRate: number | null = null) =>
    got.publisher!.publish(rank, {
      kvUsedBlocks,
      kvTotalBlocks: 100,
      gpuCacheUsage: kvUsedBlocks / 100,
      kvCacheHitRate,
    });
  return { hooks, tell };
}

test("gauges of declared ranks begin at 0 and follow each snapshot; an unknown hit rate changes nothing", async () => {
  const { hooks, tell } = engine([0, 1]);
  const { gauge } = await rig(hooks);
  assert.deepEqual([await gauge("total_blocks", 0), await gauge("gpu_cache_usage_percent", 1)], [0, 0]);
  assert.equal(await gauge("kv_cache_hit_rate", 0), null);
  tell(0, 25, 0.5);
  tell(0, 30);
  assert.deepEqual([await gauge("total_blocks", 0), await gauge("gpu_cache_usage_percent", 0)], [100, 0.3]);
  assert.deepEqual([await gauge("kv_cache_hit_rate", 0), await gauge("total_blocks", 1)], [0.5, 0]);
  tell(0, 30, 0.75);
  assert.equal(await gauge("kv_cache_hit_rate", 0), 0.75);
});

test("frontends hear of a rank's newest blocks in use after a millisecond, and of nothing they know", async () => {
  const { hooks, tell } = engine([0, 1]);
  const { clock, told } = await rig(hooks);
  for (const used of [1, 2, 3]) tell(0, used);
  tell(1, 7);
  assert.deepEqual(told(), []);
  await clock.advance(1);
  assert.deepEqual(told(), ["0: 3", "1: 7"]);
  const timers = clock.pendingTimers;
  tell(0, 3);
  assert.equal(clock.pendingTimers, timers, "nothing to wait for");
  await clock.advance(100);
  assert.equal(told().length, 2, "unchanged");
  tell(0, 0);
  await clock.advance(1);
  assert.deepEqual(told().slice(2), ["0: 0"]);
});

test("a rank that was not declared has gauges only", async () => {
  const { hooks, tell } = engine([0]);
  const { clock, told, gauge } = await rig(hooks);
  tell(5, 10);
  await clock.advance(10);
  assert.deepEqual([told(), await gauge("total_blocks", 5)], [[], 100]);
});

test("without an event plane, or without ranks, there are gauges and no publisher", async () => {
  for (const [ranks, hasEvents] of [[[0], false], [[], true]] as const) {
    const { hooks, tell } = engine(ranks);
    const { clock, events, store, gauge } = await rig(hooks, hasEvents);
    tell(0, 10);
    await clock.advance(10);
    assert.deepEqual([events.publishers.length, store.list("v1/event_channels").length], [0, 0]);
    assert.equal(await gauge("total_blocks", 0), 100);
  }
});

test("closing sends the newest state and takes the channel back", async () => {
  const { hooks, tell } = engine([0]);
  const { clock, events, store, opened, told } = await rig(hooks);
  assert.equal(store.list("v1/event_channels").length, 1);
  tell(0, 9);
  await opened[Symbol.asyncDispose]();
  assert.deepEqual([told(), store.list("v1/event_channels"), clock.pendingTimers], [["0: 9"], [], 0]);
  assert.ok(events.publishers[0]!.isClosed);
});

test("an engine that cannot tell its ranks, or take the publisher, fails the start", async () => {
  const fails = () => {
    throw new Error("no");
  };
  await assert.rejects(rig({ componentMetricsDpRanks: fails }), {
    kind: "EngineShutdown",
    message: "engine.componentMetricsDpRanks() failed: Error: no",
  });
  await assert.rejects(rig({ attachSnapshotPublisher: fails }), {
    kind: "EngineShutdown",
    message: "engine.attachSnapshotPublisher() failed: Error: no",
  });
  await assert.rejects(rig({ componentMetricsDpRanks: () => [0.5] }), {
    kind: "InvalidArgument",
    message: /has to return ranks, not \[0\.5\]/,
  });
});
