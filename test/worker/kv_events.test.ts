/** KV events of a whole worker: its records, its questions and answers, and engines that get it wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import type { KvEventPublisher, KvEventSource } from "../../src/engine/kv_source.ts";
import { realPlatform } from "../../src/platform/real.ts";
import type { DynamoError } from "../../src/protocol/error.ts";
import { decodeZmqFrames } from "../../src/protocol/event.ts";
import { decodeEventChannel, decodeEventSource } from "../../src/protocol/event_record.ts";
import { decodeKvEvents } from "../../src/protocol/kv_event.ts";
import { decodeRecoveryReply, encodeRecoveryQuery } from "../../src/protocol/kv_recovery.ts";
import { chunk } from "../../src/protocol/output.ts";
import { decodeInstance } from "../../src/protocol/record.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { endless, makeWorker } from "../support/worker_life.ts";
import { eventually, probeEngine, type Rig, startRig } from "../support/worker_rig.ts";

const ZMQ: WorkerOptions = { eventPlane: "zmq" };
const BLOCK = 4;
const { net, clock, random } = realPlatform;

/** An engine with sources of its own. */
function engineWith(members: Partial<Engine>, config = {}): Engine {
  const { engine } = probeEngine(endless, {
    start: () => Promise.resolve({ model: "probe", contextLength: 64, kvCacheBlockSize: BLOCK, ...config }),
  });
  return { ...engine, ...members };
}

/** An engine that publishes, and its publishers by rank. */
function publishing(ranks: readonly number[] = [0], config = {}) {
  const publishers = new Map<number, KvEventPublisher>();
  const sources = ranks.map((dpRank): KvEventSource => ({
    kind: "push",
    dpRank,
    onReady: (publisher) => void publishers.set(dpRank, publisher),
  }));
  return { engine: engineWith({ kvEventSources: () => sources }, config), publishers };
}

test("a channel and the recovery endpoint are there before the source, and go after it", async () => {
  const { engine } = publishing();
  const { worker, store } = makeWorker(engine, ZMQ);
  const events: string[] = [];
  for (const bucket of ["v1/event_channels", "v1/event_sources", "v1/instances"] as const) {
    store.watch(bucket, ({ kind, key }) => {
      const topic = /topic\/([^/]+)/.exec(key.path)?.[1] ?? /worker_kv_query_source|generate/.exec(key.path)![0];
      events.push(`${kind} ${bucket.slice("v1/".length)} ${topic}`);
    });
  }
  await worker.start();
  const up = [
    "event_channels active_sequences_events",
    "event_channels kv-events",
    "instances worker_kv_query_source",
    "event_sources kv-events",
    "instances generate",
  ];
  assert.deepEqual(events, up.map((record) => `put ${record}`));
  assert.deepEqual(await worker.stop(), { exitCode: 0, error: null });
  assert.deepEqual(events.slice(up.length), up.toReversed().map((record) => `delete ${record}`));
});

test("each rank has a publisher; its source names worker, rank and whom to ask", async () => {
  const { engine } = publishing([2, 3], { dataParallelStartRank: 2, dataParallelSize: 2 });
  await using rig = await startRig(engine, { worker: ZMQ });
  const sources = rig.store.list("v1/event_sources").map(({ value }) => decodeEventSource(value));
  assert.deepEqual(sources.map(({ metadata: { worker } }) => worker), [
    { worker_id: rig.info.instanceId, dp_rank: 2 },
    { worker_id: rig.info.instanceId, dp_rank: 3 },
  ]);
  const channels = rig.store.list("v1/event_channels").map(({ value }) => decodeEventChannel(value));
  for (const { publisher_id, metadata } of sources) {
    assert.ok(channels.some(({ topic, instance_id }) => topic === "kv-events" && instance_id === publisher_id));
    const { endpoint, instance_id } = metadata.recovery_target!;
    assert.deepEqual([endpoint, instance_id], [
      `worker_kv_query_source_${publisher_id.toString(16)}`,
      rig.info.instanceId,
    ]);
  }
  assert.notEqual(sources[0]!.publisher_id, sources[1]!.publisher_id);
});

test("without a local indexer, and for an encode worker, nobody is to be asked", async () => {
  for (const more of [{ localIndexer: false }, { disaggregationMode: "encode" }] as const) {
    const { engine } = publishing();
    await using rig = await startRig(engine, { worker: { ...ZMQ, ...more } });
    const [source] = rig.store.list("v1/event_sources");
    assert.equal(decodeEventSource(source!.value).metadata.recovery_target, undefined);
    assert.equal(rig.store.list("v1/instances").length, 1);
  }
});

/** Where the KV events of a worker with one rank come from. */
function kvEndpoint({ store }: Rig): string {
  const channels = store.list("v1/event_channels").map(({ value }) => decodeEventChannel(value));
  const { transport } = channels.find(({ topic }) => topic === "kv-events")!;
  assert.ok(transport.kind === "Zmq");
  return transport.config.endpoint;
}

test("what an engine publishes comes out of the socket that the channel names", async () => {
  const { engine, publishers } = publishing();
  await using rig = await startRig(engine, { worker: ZMQ });
  const ids: bigint[] = [];
  const onMessage = (frames: readonly Uint8Array[]) => {
    for (const { event, worker_id } of decodeKvEvents(decodeZmqFrames(frames).envelope.payload)) {
      assert.equal(worker_id, rig.info.instanceId);
      ids.push(event.event_id);
    }
  };
  await using sub = openSub({ net, clock, random, topics: ["kv-events"], onMessage });
  sub.connect(kvEndpoint(rig));
  const publisher = publishers.get(0)!;
  let token = 0;
  const store = () => publisher.publishStored({ tokenIds: Array.from({ length: BLOCK }, () => token++) });
  await eventually("the first event", () => ids.length > 0 || (store(), false));
  const before = ids.length;
  for (let i = 0; i < 3; i++) store();
  await eventually("three more", () => ids.length >= before + 3);
  for (let i = 1; i < ids.length; i++) assert.equal(ids[i], ids[i - 1]! + 1n);
  const label = 'topic="kv-events"';
  assert.ok(await rig.metric("stator_event_messages_published_total", label) >= ids.length);
  assert.equal(await rig.metric("stator_event_messages_dropped_total", label), 0);
});

/** Asks a worker for its events, over the request plane as a router does. */
async function recover(
  rig: Rig,
  more: Partial<Parameters<typeof encodeRecoveryQuery>[0]> = {},
  bodyBytes?: Uint8Array,
) {
  const records = rig.store.list("v1/instances").map(({ value }) => decodeInstance(value));
  const { transport } = records.find(({ endpoint }) => endpoint.startsWith("worker_kv_query_source_"))!;
  assert.ok("tcp" in transport);
  const path = transport.tcp.slice(transport.tcp.indexOf("/") + 1);
  const id = `recovery-${Math.random()}`;
  const body = bodyBytes ?? encodeRecoveryQuery({
    ...{ worker_id: rig.info.instanceId, dp_rank: 0, start_event_id: null, end_event_id: null },
    supports_tree_dump_failed: true,
    ...more,
  });
  rig.link.write(rig.frontend.frame(path, { id, codec: "msgpack", bodyBytes: body }));
  const frames = await (await rig.frontend.call(id)).whole();
  const items = frames.filter(({ header, body }) => header === "" && body.length > 0);
  return decodeRecoveryReply(items[0]!.body);
}

test("a router that asks gets everything, or what is newer than it knows", async () => {
  const { engine, publishers } = publishing();
  await using rig = await startRig(engine, { worker: ZMQ });
  for (let i = 0; i < 3; i++) publishers.get(0)!.publishStored({ tokenIds: [i, i, i, i] });
  const all = await recover(rig);
  assert.ok("TreeDump" in all);
  assert.deepEqual([all.TreeDump.events.length, all.TreeDump.last_event_id, all.TreeDump.reset_scope], [3, 3n, "all"]);
  const newer = await recover(rig, { start_event_id: 2n });
  assert.ok("Events" in newer);
  assert.deepEqual(newer.Events.events.map(({ event }) => event.event_id), [2n, 3n]);
  assert.deepEqual(await recover(rig, { start_event_id: 9n }), {
    TooNew: { requested_start: 9n, requested_end: null, newest_available: 3n },
  });
});

test("a question to another worker or rank, or one that is none, is answered with what is wrong", async () => {
  const { engine } = publishing();
  await using rig = await startRig(engine, { worker: ZMQ });
  const error = async (...asked: Parameters<typeof recover> extends [Rig, ...infer Rest] ? Rest : never) => {
    const reply = await recover(rig, ...asked);
    assert.ok("Error" in reply, JSON.stringify(reply));
    return reply.Error;
  };
  assert.match(await error({ worker_id: 7n }), /not 7$/);
  assert.match(await error({ dp_rank: 4 }), /not 4$/);
  assert.match(await error({}, Uint8Array.of(0x80)), /worker_id/);
});

const push = (dpRank?: number): KvEventSource => ({
  kind: "push",
  ...(dpRank === undefined ? {} : { dpRank }),
  onReady() {},
});

const MISTAKES: readonly [string, Partial<Engine>, RegExp][] = [
  [
    "throws",
    { kvEventSources: () => Promise.reject(new Error("no cache")) },
    /EngineShutdown: engine\.kvEventSources\(\) failed: .*no cache/,
  ],
  ["has a rank twice", { kvEventSources: () => [push(), push(0)] }, /InvalidArgument: .*two sources for rank 0/],
  ["has a rank too high", { kvEventSources: () => [push(1)] }, /InvalidArgument: .*rank 1, but .* are 0 to 0/],
  ["has a negative rank", { kvEventSources: () => [push(-1)] }, /InvalidArgument: .*rank -1/],
  [
    "cannot take its publisher",
    {
      kvEventSources: () => [{
        kind: "push",
        onReady: () => {
          throw new Error("not now");
        },
      }],
    },
    /EngineShutdown: onReady\(\) of the KV event source of rank 0 failed: .*not now/,
  ],
];

for (const [what, members, expected] of MISTAKES) {
  test(`an engine whose source ${what} fails the start and leaves no record`, async () => {
    const { worker, store } = makeWorker(engineWith(members), ZMQ);
    await assert.rejects(worker.start(), ({ kind, message }: DynamoError) => expected.test(`${kind}: ${message}`));
    for (const bucket of ["v1/event_channels", "v1/event_sources", "v1/instances", "v1/mdc"] as const) {
      assert.deepEqual(store.list(bucket), []);
    }
  });
}

for (const bucket of ["v1/event_channels", "v1/event_sources"] as const) {
  test(`a store that takes no ${bucket} fails the start and keeps nothing`, async () => {
    const { engine } = publishing();
    const { worker, store } = makeWorker(engine, ZMQ);
    const put = store.put.bind(store);
    store.put = (entry) => {
      if (entry.key.bucket === bucket && entry.key.path.includes("kv-events")) throw new Error("the store is full");
      put(entry);
    };
    await assert.rejects(worker.start(), { kind: "CannotConnect", message: /the store is full/ });
    for (const each of ["v1/event_channels", "v1/event_sources", "v1/instances"] as const) {
      assert.deepEqual(store.list(each), []);
    }
  });
}

test("without a block size there is one warning and no publisher of KV events; the worker serves", async () => {
  const { engine, publishers } = publishing([0], { kvCacheBlockSize: undefined });
  await using rig = await startRig(engine, { worker: ZMQ });
  assert.equal(rig.lines.filter((line) => /will not be KV-routed: .*kvCacheBlockSize/.test(line)).length, 1);
  assert.deepEqual([publishers.size, rig.store.list("v1/event_sources").length], [0, 0]);
  assert.ok(rig.worker);
});

test("without an event plane an engine is not even asked", async () => {
  let asked = 0;
  const engine = engineWith({
    kvEventSources() {
      asked++;
      return [push()];
    },
    attachForwardPassPublisher: () => void asked++,
    async *generate() {
      await Promise.resolve();
      yield chunk.stop();
    },
  });
  await using rig = await startRig(engine);
  assert.deepEqual([asked, rig.store.list("v1/event_channels").length], [0, 0]);
});

test("a wildcard as the address of subscribers fails the start", async () => {
  const { worker } = makeWorker(publishing().engine, { ...ZMQ, eventPlaneHost: "0.0.0.0" });
  await assert.rejects(worker.start(), {
    kind: "InvalidArgument",
    message: /DYN_EVENT_PLANE_HOST: 0\.0\.0\.0 is every/,
  });
});
