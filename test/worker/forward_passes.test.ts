/** What planners hear of forward passes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Discovery } from "../../src/discovery/discovery.ts";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { ForwardPass, ForwardPassPublisher } from "../../src/engine/forward_pass.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeForwardPass } from "../../src/protocol/load_event.ts";
import { openForwardPasses } from "../../src/worker/forward_passes.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { makeFakeEvents } from "../support/fake_events.ts";
import { isHeartbeat, passOf, recordedRuns } from "../support/recorded_passes.ts";
import { toHex } from "../wire/transcript.ts";

const NAME = { namespace: "dynamo", component: "backend", endpoint: "generate" };
const WORK = { numPrefillRequests: 1, sumPrefillTokens: 2, numDecodeRequests: 3, sumDecodeKvTokens: 4 };
const PASS: ForwardPass = { wallTimeSeconds: 0.5, scheduled: { ...WORK, sumPrefillKvTokens: 5 }, queued: WORK };

/** An engine with a publisher, if it takes one. */
async function rig({ start = 0, size = 1, workerId = 7n, members = undefined as Partial<Engine> | undefined } = {}) {
  const clock = new FakeClock();
  const events = makeFakeEvents();
  const store = new MemStore();
  const mem = await openMemDiscovery(store, realPlatform);
  const discovery = {
    instanceId: workerId,
    put: (...record: Parameters<Discovery["put"]>) => mem.put(...record),
    delete: (...key: Parameters<Discovery["delete"]>) => mem.delete(...key),
  } as Discovery;
  let publisher: ForwardPassPublisher | undefined;
  const attachForwardPassPublisher = (given: ForwardPassPublisher) => void (publisher = given);
  const engine = (members ?? { attachForwardPassPublisher }) as Engine;
  const opening = openForwardPasses(engine, {
    events,
    planes: { discovery },
    name: NAME,
    ranks: { start, size },
    clock,
  });
  const channels = () => store.list("v1/event_channels").map(({ key }) => key.path);
  const payloads = () => events.publishers.flatMap(({ payloads }) => payloads);
  /** Messages as `rank: counter`, with a `-` for one that says idle. */
  const told = () =>
    payloads().map(decodeForwardPass).map((pass) =>
      `${pass.dp_rank}: ${pass.counter_id}${isHeartbeat(pass) ? "-" : ""}`
    );
  const publish = (dpRank: number, pass: ForwardPass = PASS) => publisher!.publish(dpRank, pass);
  return { clock, events, opening, channels, payloads, told, publish };
}

for (const { flags, messages } of recordedRuns()) {
  test(`the messages of the peer's worker, byte for byte: ${flags.join(" ")}`, async () => {
    const { dp_rank: last } = messages.map(({ metrics }) => metrics).sort((a, b) => a.dp_rank - b.dp_rank).at(-1)!;
    const workerId = BigInt(messages[0]!.metrics.worker_id);
    const { clock, opening, payloads, publish } = await rig({ size: last + 1, workerId });
    await opening;
    for (const [i, { metrics }] of messages.entries()) {
      if (!isHeartbeat(metrics)) publish(metrics.dp_rank, passOf(metrics));
      else if (payloads().length <= i) await clock.advance(1000);
    }
    assert.deepEqual(payloads().map(toHex), messages.map(({ payload }) => toHex(payload)));
  });
}

test("each rank has a counter of its own, from 1; variances that are left out are 0", async () => {
  const { opening, told, payloads, publish } = await rig({ start: 2, size: 2 });
  await opening;
  for (const rank of [3, 2, 3]) publish(rank);
  assert.deepEqual(told(), ["3: 1", "2: 1", "3: 2"]);
  const { worker_id, wall_time, scheduled_requests, queued_requests } = decodeForwardPass(payloads()[0]!);
  assert.deepEqual([worker_id, wall_time], ["7", 0.5]);
  const queued = {
    ...{ num_prefill_requests: 1, sum_prefill_tokens: 2, var_prefill_length: 0 },
    ...{ num_decode_requests: 3, sum_decode_kv_tokens: 4, var_decode_kv_tokens: 0 },
  };
  assert.deepEqual([scheduled_requests, queued_requests], [{ ...queued, sum_prefill_kv_tokens: 5 }, queued]);
});

test("a rank that is silent for a second is told to be idle, and again each second; others are not", async () => {
  const { clock, opening, told, publish } = await rig({ size: 2 });
  await opening;
  await clock.advance(999.5);
  assert.deepEqual(told(), []);
  publish(1);
  await clock.advance(0.5);
  assert.deepEqual(told(), ["1: 1", "0: 1-"]);
  await clock.advance(999);
  assert.deepEqual(told().length, 2);
  await clock.advance(0.5);
  assert.deepEqual(told().slice(2), ["1: 2-"]);
  await clock.advance(1000);
  assert.deepEqual(told().slice(3), ["0: 2-", "1: 3-"]);
  assert.equal(clock.pendingTimers, 1);
});

test("passes do not wait for a timer, and a busy rank is never told to be idle", async () => {
  const { clock, opening, told, publish } = await rig();
  await opening;
  for (let i = 0; i < 300; i++) {
    publish(0);
    await clock.advance(17.3);
  }
  assert.deepEqual([told().length, told().at(-1)], [300, "0: 300"]);
});

const refused: readonly (readonly [string, number, Partial<ForwardPass>, RegExp])[] = [
  ["a rank too high", 4, {}, /pass of rank 4: the ranks of this worker are 2 to 3/],
  ["a rank too low", 1, {}, /of rank 1: the ranks/],
  ["half a rank", 2.5, {}, /of rank 2\.5: the ranks/],
  ["no time", 2, { wallTimeSeconds: NaN }, /rank 2: wallTimeSeconds is NaN, not a number from 0 on/],
  ["a time that runs back", 2, { wallTimeSeconds: -1 }, /wallTimeSeconds is -1/],
  [
    "half a request",
    2,
    { queued: { ...WORK, numDecodeRequests: 0.5 } },
    /queued\.numDecodeRequests is 0\.5, not a whole/,
  ],
  [
    "fewer tokens than none",
    2,
    { scheduled: { ...WORK, sumPrefillKvTokens: -1 } },
    /scheduled\.sumPrefillKvTokens is -1/,
  ],
  ["an endless variance", 2, { queued: { ...WORK, varPrefillLength: Infinity } }, /queued\.varPrefillLength is Inf/],
];

for (const [name, rank, members, message] of refused) {
  test(`a pass is refused and not counted: ${name}`, async () => {
    const { opening, told, publish } = await rig({ start: 2, size: 2 });
    await opening;
    assert.throws(() => publish(rank, { ...PASS, ...members }), { name: "RangeError", message });
    publish(2);
    assert.deepEqual(told(), ["2: 1"]);
  });
}

test("the channel is in discovery until the end; nothing is told later", async () => {
  const { clock, events, opening, channels, told, publish } = await rig();
  const opened = await opening;
  assert.deepEqual(channels(), [
    "namespace/dynamo/component/backend/endpoint/generate/topic/forward-pass-metrics/1",
  ]);
  await opened[Symbol.asyncDispose]();
  publish(0);
  publish(99);
  await clock.advance(5000);
  assert.deepEqual([told(), channels(), clock.pendingTimers, events.publishers[0]!.isClosed], [[], [], 0, true]);
});

test("an engine that does not want it costs nothing", async () => {
  const { clock, events, opening, channels } = await rig({ members: {} });
  await opening;
  assert.deepEqual([events.publishers, channels(), clock.pendingTimers], [[], [], 0]);
});

test("an engine that cannot take it fails the start, and nothing stays", async () => {
  const attachForwardPassPublisher = () => {
    throw new Error("no");
  };
  const { clock, events, opening, channels } = await rig({ members: { attachForwardPassPublisher } });
  await assert.rejects(opening, {
    kind: "EngineShutdown",
    message: "engine.attachForwardPassPublisher() failed: Error: no",
  });
  assert.deepEqual([events.publishers[0]!.isClosed, channels(), clock.pendingTimers], [true, [], 0]);
});
