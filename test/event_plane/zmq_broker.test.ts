/** Events through brokers, and how these are found. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import { openZmqBroker, parseBroker } from "../../src/event_plane/zmq_broker.ts";
import { findBroker } from "../../src/event_plane/zmq_broker_lookup.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeZmqFrames, type EventScope } from "../../src/protocol/event.ts";
import { encodeEventChannel, eventChannelKey, type EventTransport } from "../../src/protocol/event_record.ts";
import { eventually } from "../support/worker_rig.ts";
import { openZmqProxy } from "../support/zmq_proxy.ts";
import { bytes, text } from "../support/zmtp_peer.ts";

const { net, clock, random } = realPlatform;
const world = { net, clock, random };
const SCOPE: EventScope = { kind: "endpoint", endpoint: { namespace: "ns", component: "c", name: "generate" } };
const SUBJECT = "namespace.ns.component.c.endpoint.generate.kv-events";

test("every broker gets every message, under the whole subject; the envelope keeps the topic", async () => {
  await using one = await openZmqProxy();
  await using two = await openZmqProxy();
  await using plane = openZmqBroker(world, { xsub: [one.xsub, two.xsub], xpub: [one.xpub, two.xpub] });
  assert.deepEqual([plane.name, plane.batchesSequences], ["zmq", true]);
  const publisher = await plane.publisher(SCOPE, "kv-events");
  assert.equal(publisher.transport, null);
  await eventually("both brokers", () => {
    publisher.publish(bytes("x"));
    return one.passed.length > 0 && two.passed.length > 0;
  });
  const { published } = publisher.stats;
  await eventually("the last", () => [one, two].every(({ passed }) => sequence(passed.at(-1)!) === published - 1));
  const { subject, envelope } = decodeZmqFrames(one.passed[0]!);
  assert.equal(subject, SUBJECT);
  assert.deepEqual([envelope.topic, envelope.publisher_id, text(envelope.payload)], ["kv-events", publisher.id, "x"]);
});

function sequence(parts: readonly Uint8Array[]): number {
  return Number(decodeZmqFrames(parts).envelope.sequence);
}

test("read back goes through the broker", async () => {
  await using broker = await openZmqProxy();
  await using plane = openZmqBroker(world, { xsub: [broker.xsub], xpub: [broker.xpub] });
  const publisher = await plane.publisher(SCOPE, "kv-events");
  await using back = publisher.readBack();
  assert.equal(back.address, broker.xpub);
  let isBack = false;
  void back.message.then(() => isBack = true);
  await back.begun;
  await eventually("the message", () => {
    publisher.publish(bytes("x"));
    return isBack;
  });
});

test("publishers have connections of their own, and closing one leaves the others", async () => {
  await using broker = await openZmqProxy();
  await using plane = openZmqBroker(world, { xsub: [broker.xsub], xpub: [broker.xpub] });
  const one = await plane.publisher(SCOPE, "a");
  const two = await plane.publisher(SCOPE, "b");
  await eventually("both to be connected", () => broker.publishers === 2);
  await one[Symbol.asyncDispose]();
  await eventually("one to be gone", () => broker.publishers === 1);
  await eventually("the other's message", () => {
    two.publish(bytes("x"));
    return broker.passed.length > 0;
  });
  assert.equal(one.stats.published, 0);
});

test("brokers are read in either order, with several addresses, blanks cut", () => {
  const expected = { xsub: ["tcp://a:1", "tcp://b:2"], xpub: ["tcp://a:3"] };
  assert.deepEqual(parseBroker("xsub=tcp://a:1;tcp://b:2,xpub=tcp://a:3", "OPTION"), expected);
  assert.deepEqual(parseBroker(" xpub = tcp://a:3 , xsub = tcp://a:1 ; tcp://b:2 ", "OPTION"), expected);
});

for (
  const [bad, why] of [
    ["tcp://a:1", /it has to be xsub=/],
    ["xsub=tcp://a:1", /it has to be xsub=/],
    ["xsub=tcp://a:1,xpub=", /it has to be xsub=/],
    ["xsub=tcp://a:1,xpub=tcp://a:2,xpub=tcp://a:3", /it has to be xsub=/],
    ["xsub=ipc:///x,xpub=tcp://a:2", /only tcp is supported/],
    ["xsub=tcp://*:1,xpub=tcp://a:2", /\* can only be bound/],
    ["xsub=tcp://a:1,xpub=tcp://a", /an endpoint is tcp:\/\/host:port/],
  ] as const
) {
  test(`${bad} is refused`, () => {
    assert.throws(() => parseBroker(bad, "OPTION"), (error: Error) => {
      assert.match(error.message, /^OPTION: /);
      assert.match(error.message, why);
      return true;
    });
  });
}

/** Discovery in which somebody said where something is. */
async function discoveryWith(...records: readonly (readonly [EventScope, EventTransport])[]) {
  const discovery = await openMemDiscovery(new MemStore(), realPlatform);
  for (const [i, [scope, transport]] of records.entries()) {
    const key = eventChannelKey(scope, "broker", BigInt(i));
    await discovery.put(key, encodeEventChannel({ scope, topic: "broker", instance_id: BigInt(i), transport }));
  }
  return discovery;
}

function broker(xsub: string, xpub: string): EventTransport {
  return { kind: "ZmqBroker", config: { xsub_endpoints: [xsub], xpub_endpoints: [xpub] } };
}

const BROKER: EventScope = { kind: "component", namespace: "ns", component: "zmq_broker" };

test("brokers of the namespace are found in discovery, among whatever else is there", async () => {
  await using discovery = await discoveryWith(
    [BROKER, broker("tcp://a:1", "tcp://a:2")],
    [BROKER, broker("tcp://b:1", "tcp://b:2")],
    [{ ...BROKER, namespace: "other" }, broker("tcp://c:1", "tcp://c:2")],
    [{ ...BROKER, component: "backend" }, broker("tcp://d:1", "tcp://d:2")],
    [SCOPE, { kind: "Zmq", config: { endpoint: "tcp://e:1" } }],
  );
  await discovery.put({ bucket: "v1/event_channels", path: "nonsense" }, "{}");
  const { xsub, xpub } = await findBroker(discovery, "ns");
  assert.deepEqual([xsub.toSorted(), xpub.toSorted()], [["tcp://a:1", "tcp://b:1"], ["tcp://a:2", "tcp://b:2"]]);
});

test("no broker in discovery is an error that says what to do; so is one that cannot be dialled", async () => {
  await using none = await discoveryWith();
  await assert.rejects(findBroker(none, "ns"), {
    kind: "CannotConnect",
    message: /DYN_ZMQ_BROKER_ENABLED: there is no broker ns\/zmq_broker in mem discovery; start one, name it with/,
  });
  await using bad = await discoveryWith([BROKER, broker("ipc:///x", "tcp://a:1")]);
  await assert.rejects(findBroker(bad, "ns"), {
    kind: "InvalidArgument",
    message: /ns\/zmq_broker in discovery: .*only tcp/,
  });
});
