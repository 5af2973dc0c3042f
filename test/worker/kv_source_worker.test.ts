/** KV events of a whole worker, over real sockets, with nobody but itself to hear them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import type { KvEventSource } from "../../src/engine/kv_source.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { openPub, openSub } from "../../src/zmtp/mod.ts";
import { endless } from "../support/worker_life.ts";
import { eventually, probeEngine, startRig } from "../support/worker_rig.ts";

const ZMQ = { eventPlane: "zmq" } as const;
const STORED = {
  type: "BlockStored",
  block_hashes: [1],
  parent_block_hash: null,
  token_ids: [1, 2, 3, 4],
  block_size: 4,
};

function engineWith(sources: readonly KvEventSource[], members: Partial<Engine> = {}): Engine {
  const start = () => Promise.resolve({ model: "probe", kvCacheBlockSize: 4, dataParallelSize: 2 });
  return { ...probeEngine(endless, { start }).engine, kvEventSources: () => sources, ...members };
}

test("an engine's first event comes back to the worker that published it, each rank's by itself", async () => {
  const publish = (rank: number): KvEventSource => ({
    ...{ kind: "push", dpRank: rank },
    onReady: (publisher) => publisher.publishStored({ tokenIds: [1, 2, 3, 4] }),
  });
  await using rig = await startRig(engineWith([publish(0), publish(1)]), { worker: ZMQ });
  await eventually(
    "both to come back",
    () => rig.lines.filter((line) => /event has come back/.test(line)).length === 2,
  );
  assert.deepEqual(rig.lines.filter((line) => / WARN /.test(line)), []);
});

test("events of an engine's socket go through the worker", async () => {
  await using pub = openPub(realPlatform);
  const endpoint = await pub.bind("tcp://127.0.0.1:*");
  await using rig = await startRig(engineWith([{ kind: "zmq", dpRank: 1, endpoint }]), { worker: ZMQ });
  assert.ok(await pub.subscribed("kv"));
  const batch = encodeMsgpack([0, [STORED], 1]);
  pub.publish([new TextEncoder().encode("kv"), new Uint8Array(8), batch]);
  await eventually("it to come back", () => rig.lines.some((line) => /event has come back/.test(line)));
  assert.equal(await rig.metric("dynamo_component_kv_publisher_zmq_events_total", 'stage="accepted"'), 1);
});

test("an engine may connect to the worker instead", async () => {
  await using taken = openSub({ ...realPlatform, onMessage() {} });
  const { port } = new URL((await taken.bind("tcp://127.0.0.1:*")).replace("tcp:", "http:"));
  await taken[Symbol.asyncDispose]();
  const endpoint = `tcp://*:${port}`;
  await using rig = await startRig(engineWith([{ kind: "zmq", endpoint }]), { worker: ZMQ });
  await using pub = openPub(realPlatform);
  pub.connect(`tcp://127.0.0.1:${port}`);
  assert.ok(await pub.subscribed("kv"));
  pub.publish([new TextEncoder().encode("kv"), new Uint8Array(8), encodeMsgpack([0, [STORED], null])]);
  await eventually("it to come back", () => rig.lines.some((line) => /event has come back/.test(line)));
});

test("forward passes leave under a topic of their own, and are counted", async () => {
  const work = { numPrefillRequests: 1, sumPrefillTokens: 8, numDecodeRequests: 0, sumDecodeKvTokens: 0 };
  const scheduled = { ...work, sumPrefillKvTokens: 0 };
  const attachForwardPassPublisher: Engine["attachForwardPassPublisher"] = (publisher) =>
    [0, 1].forEach((rank) => publisher.publish(rank, { wallTimeSeconds: 0.01, scheduled, queued: work }));
  await using rig = await startRig(engineWith([], { attachForwardPassPublisher }), { worker: ZMQ });
  assert.equal(rig.store.list("v1/event_channels").filter(({ key }) => /forward-pass/.test(key.path)).length, 1);
  const published = "stator_event_messages_published_total";
  assert.equal(await rig.metric(published, 'topic="forward-pass-metrics"'), 2);
});

test("a source that cannot be opened fails the start and is named", async () => {
  const starting = startRig(engineWith([{ kind: "zmq", dpRank: 1, endpoint: "ipc:///tmp/kv" }]), { worker: ZMQ });
  await assert.rejects(starting, /KV event source of rank 1 cannot be opened: .*only tcp is supported/);
});

test("with KV routing disabled nothing is published and the engine is not asked", async () => {
  const ask = () => assert.fail("asked");
  const members = {
    ...{ kvEventSources: ask, componentMetricsDpRanks: ask },
    ...{ attachSnapshotPublisher: ask, attachForwardPassPublisher: ask },
  };
  await using rig = await startRig(engineWith([], members), { worker: { ...ZMQ, disableKvRouting: true } });
  assert.deepEqual([rig.store.list("v1/event_channels"), rig.store.list("v1/event_sources")], [[], []]);
  assert.equal(rig.store.list("v1/instances").length, 1);
});
