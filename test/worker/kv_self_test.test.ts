import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import type { EventPublisher, ReadBack } from "../../src/event_plane/event_plane.ts";
import { createLog } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import type { EventTransport } from "../../src/protocol/event_record.ts";
import { announceSource, endpointScope } from "../../src/worker/event_records.ts";
import { SelfTest } from "../../src/worker/kv_self_test.ts";
import { FakeClock } from "../support/fake_clock.ts";

const NAME = { namespace: "dynamo", component: "backend", endpoint: "generate" };
const DIRECT: EventTransport = { kind: "Zmq", config: { endpoint: "tcp://10.9.9.9:1" } };

/** A publisher that nobody but the test hears, announced for rank 1, and its self-test. */
async function rig(transport: EventTransport | null = DIRECT, plane = "zmq") {
  const clock = new FakeClock();
  const discovery = await openMemDiscovery(new MemStore(), realPlatform);
  const lines: string[] = [];
  const [begun, message] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const state: { fault: Error | null; closed: number } = { fault: null, closed: 0 };
  const readBack: ReadBack = {
    address: "tcp://10.9.9.9:1",
    begun: begun.promise,
    message: message.promise,
    get fault() {
      return state.fault;
    },
    [Symbol.asyncDispose]() {
      state.closed++;
      return Promise.reject(new Error("closing fails"));
    },
  };
  const publisher = {
    ...{ id: 5n, scope: endpointScope(NAME), topic: "kv-events", transport },
    readBack: () => readBack,
  } as unknown as EventPublisher;
  const announce = (id = 5n, dpRank = 1) =>
    announceSource(discovery, { ...publisher, id }, { name: NAME, dpRank, recovery: null });
  const record = await announce();
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const selfTest = new SelfTest({ publisher, dpRank: 1, plane, discovery, clock, log });
  return { clock, discovery, lines, begun, message, state, announce, record, selfTest };
}

/** The warning that was written, without its place in the log; checks that there is but one line. */
function warning(lines: readonly string[]): string {
  assert.equal(lines.length, 1, lines.join("\n"));
  return / WARN This worker will not be KV-routed: (.*?) +dp_rank=1/.exec(lines[0]!)?.[1] ?? lines[0]!;
}

test("the start waits for the subscription, but not for long", async () => {
  const { clock, selfTest, begun } = await rig();
  let has = false;
  void selfTest.begun.then(() => has = true);
  await clock.advance(999);
  assert.equal(has, false);
  await clock.advance(1);
  assert.equal(has, true);
  const quick = await rig();
  quick.begun.resolve();
  await quick.selfTest.begun;
  begun.resolve();
  assert.deepEqual([clock.pendingTimers, quick.clock.pendingTimers], [0, 0]);
});

test("an event that comes back is a line of detail, and ends the subscription", async () => {
  const { clock, lines, message, state, selfTest } = await rig();
  selfTest.published();
  selfTest.published();
  await clock.advance(9000);
  message.resolve();
  await clock.advance(0);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /DEBUG The first KV event has come back/);
  selfTest.published();
  await clock.advance(60_000);
  assert.deepEqual([lines.length, clock.pendingTimers], [1, 0]);
  assert.ok(state.closed > 0);
});

test("an event that does not come back is warned of once, with the fault and the fix", async () => {
  const { clock, lines, state, selfTest } = await rig();
  state.fault = new Error("ECONNREFUSED");
  selfTest.published();
  await clock.advance(9999);
  assert.deepEqual(lines, []);
  await clock.advance(1);
  selfTest.published();
  await clock.advance(60_000);
  assert.equal(
    warning(lines),
    "its first KV event did not come back from tcp://10.9.9.9:1 within 10 s (ECONNREFUSED); " +
      "set DYN_EVENT_PLANE_HOST to an address of this machine that routers can reach",
  );
  assert.deepEqual([state.closed > 0, clock.pendingTimers], [true, 0]);
});

for (
  const [plane, transport, fix] of [
    ["zmq", null, /the broker of DYN_ZMQ_BROKER_URL/],
    ["nats", null, /the server of NATS_SERVER/],
    ["nats", { kind: "Nats", config: { subject_prefix: "p" } }, /the server of NATS_SERVER/],
  ] as const
) {
  test(`the fix is that of ${plane} with ${transport?.kind ?? "no channel"}`, async () => {
    const { clock, lines, selfTest } = await rig(transport, plane);
    selfTest.published();
    await clock.advance(10_000);
    assert.match(warning(lines), fix);
  });
}

test("a record that is gone is warned of, though the event came back", async () => {
  const { clock, lines, message, record, selfTest } = await rig();
  await record[Symbol.asyncDispose]();
  message.resolve();
  selfTest.published();
  await clock.advance(0);
  assert.match(warning(lines), /^its EventSource record is gone from discovery/);
});

test("two publishers for one rank are warned of; those of other ranks and strangers are not", async () => {
  const { clock, discovery, lines, message, announce, selfTest } = await rig();
  await announce(6n, 0);
  await discovery.put({ bucket: "v1/event_sources", path: "odd" }, "{");
  await announce(7n);
  message.resolve();
  selfTest.published();
  await clock.advance(0);
  assert.match(warning(lines), /^2 publishers speak for its rank 1/);
});

test("all that is wrong is one warning", async () => {
  const { clock, lines, announce, selfTest } = await rig();
  await announce(7n);
  selfTest.published();
  await clock.advance(10_000);
  assert.match(warning(lines), /did not come back .*; set .*; 2 publishers/);
});

test("a discovery that cannot be read says nothing about the records", async () => {
  const { clock, discovery, lines, message, selfTest } = await rig();
  discovery.list = () => Promise.reject(new Error("down"));
  message.resolve();
  selfTest.published();
  await clock.advance(0);
  assert.match(lines.join(), /DEBUG The first KV event has come back/);
});

for (const hasPublished of [true, false]) {
  test(`a worker that stops ${hasPublished ? "while" : "before"} the test runs hears nothing of it`, async () => {
    const { clock, lines, state, selfTest } = await rig();
    if (hasPublished) selfTest.published();
    selfTest[Symbol.dispose]();
    selfTest.published();
    await selfTest.begun;
    await clock.advance(60_000);
    assert.deepEqual([lines, state.closed, clock.pendingTimers], [[], 1, 0]);
  });
}
