/** Events over sockets of the publishers' own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openZmqDirect } from "../../src/event_plane/zmq_direct.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeZmqFrames, type EventScope } from "../../src/protocol/event.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { eventually } from "../support/worker_rig.ts";
import { bytes, makeRig, text } from "../support/zmtp_peer.ts";

const { net, clock, random } = realPlatform;
const world = { net, clock, random, bind: "127.0.0.1", advertise: "127.0.0.1" };
const SCOPE: EventScope = { kind: "endpoint", endpoint: { namespace: "ns", component: "c", name: "generate" } };

test("each publisher has a socket; subscribers get its four frames under the bare topic", async () => {
  await using plane = openZmqDirect(world);
  const one = await plane.publisher(SCOPE, "kv-events");
  const two = await plane.publisher(SCOPE, "kv_metrics");
  const [at, other] = [one, two].map(({ transport }) => transport?.kind === "Zmq" ? transport.config.endpoint : "");
  assert.match(at!, /^tcp:\/\/127\.0\.0\.1:\d+$/);
  assert.notEqual(at, other);
  const message = Promise.withResolvers<readonly Uint8Array[]>();
  const onMessage = (frames: readonly Uint8Array[]) => message.resolve(frames.map((frame) => frame.slice()));
  await using sub = openSub({ net, clock, random, topics: ["kv-events"], onMessage });
  sub.connect(at!);
  await using back = one.readBack();
  assert.equal(back.address, at);
  await back.begun;
  let isThere = false;
  void message.promise.then(() => isThere = true);
  await eventually("the message", () => {
    one.publish(bytes("payload"));
    return isThere;
  });
  const { subject, envelope } = decodeZmqFrames(await message.promise);
  assert.deepEqual([subject, envelope.topic, text(envelope.payload)], ["kv-events", "kv-events", "payload"]);
  assert.equal(envelope.publisher_id, one.id);
  await back.message;
  assert.equal(back.fault, null);
  assert.deepEqual([two.stats.published, one.stats.dropped, one.stats.cut], [0, 0, 0]);
});

test("a message that nobody gets is counted and never made; numbers go on", async () => {
  await using plane = openZmqDirect(world);
  const publisher = await plane.publisher(SCOPE, "forward-pass-metrics");
  let made = 0;
  const payload = () => bytes(`payload ${made++}`);
  publisher.publish(payload);
  publisher.publish(bytes("made anyhow"));
  assert.deepEqual([made, publisher.stats.published], [0, 2]);
  const { transport } = publisher;
  const message = Promise.withResolvers<readonly Uint8Array[]>();
  const onMessage = (frames: readonly Uint8Array[]) => message.resolve(frames.map((frame) => frame.slice()));
  await using sub = openSub({ net, clock, random, topics: ["forward-pass-metrics"], onMessage });
  sub.connect(transport?.kind === "Zmq" ? transport.config.endpoint : "");
  await eventually("the first message", () => {
    if (made === 0) publisher.publish(payload);
    return made > 0;
  });
  const { envelope } = decodeZmqFrames(await message.promise);
  assert.equal(text(envelope.payload), "payload 0");
  assert.equal(envelope.sequence, BigInt(publisher.stats.published - 1));
});

test("an IPv6 address is told in brackets", async () => {
  const { options } = makeRig();
  await using plane = openZmqDirect({ ...options, bind: "::", advertise: "fd00::1" });
  const { transport } = await plane.publisher(SCOPE, "kv-events");
  assert.deepEqual(transport, { kind: "Zmq", config: { endpoint: "tcp://[fd00::1]:4000" } });
});

test("a publisher that cannot listen fails, and leaves nothing open", async () => {
  const { options, net: fake } = makeRig();
  const refused = { ...fake, listen: () => Promise.reject(new Error("the port is in use")) };
  const plane = openZmqDirect({ ...options, net: refused as unknown as typeof fake, bind: "::1", advertise: "::1" });
  await assert.rejects(plane.publisher(SCOPE, "kv-events"), /the port is in use/);
  await plane[Symbol.asyncDispose]();
});

test("a publisher that is closed listens no more; the plane closes those that are left", async () => {
  const { options, net: fake } = makeRig();
  const plane = openZmqDirect({ ...options, bind: "10.0.0.1", advertise: "10.0.0.1" });
  const one = await plane.publisher(SCOPE, "a");
  await plane.publisher(SCOPE, "b");
  assert.equal(fake.listeners.length, 2);
  await one[Symbol.asyncDispose]();
  assert.equal(fake.listeners.length, 1);
  await plane[Symbol.asyncDispose]();
  assert.equal(fake.listeners.length, 0);
});
