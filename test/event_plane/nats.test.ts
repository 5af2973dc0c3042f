/** Events over NATS, beside a server that does what the tests say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventPlane } from "../../src/event_plane/event_plane.ts";
import { openNats } from "../../src/event_plane/nats.ts";
import { openNatsLink } from "../../src/nats/link.ts";
import { createLog } from "../../src/observe/log.ts";
import type { Clock } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeEnvelope, type EventScope } from "../../src/protocol/event.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { natsAt, openFakeNats } from "../support/fake_nats.ts";
import { eventually } from "../support/worker_rig.ts";
import { bytes } from "../support/zmtp_peer.ts";

const SCOPE: EventScope = {
  kind: "endpoint",
  endpoint: { namespace: "dynamo", component: "back.end", name: "generate" },
};
const SUBJECT = "namespace.dynamo.component.back%2Eend.endpoint.generate.kv-events";

interface Opened extends AsyncDisposable {
  readonly plane: EventPlane;
  readonly lines: string[];
}

async function open(port: number, clock: Clock = realPlatform.clock): Promise<Opened> {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  await using undo = new AsyncDisposableStack();
  const link = undo.use(await openNatsLink({ ...natsAt(port), log }));
  const plane = undo.use(openNats({ link, clock, random: realPlatform.random, log }));
  const opened = undo.move();
  return { plane, lines, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

test("a message is the bare envelope under the scope's subject, and the channel says its prefix", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  assert.deepEqual([opened.plane.name, opened.plane.batchesSequences], ["nats", false]);
  const publisher = await opened.plane.publisher(SCOPE, "kv-events");
  assert.deepEqual(publisher.transport, {
    kind: "Nats",
    config: { subject_prefix: SUBJECT.replace(".kv-events", "") },
  });
  publisher.publish(bytes("one"));
  publisher.publish(bytes("two"));
  await server.got(2);
  const envelopes = server.received.map(({ bytes }) => decodeEnvelope(bytes));
  assert.deepEqual(server.received.map(({ subject }) => subject), [SUBJECT, SUBJECT]);
  assert.deepEqual(envelopes.map(({ sequence, topic }) => [sequence, topic]), [[0n, "kv-events"], [1n, "kv-events"]]);
  assert.deepEqual(envelopes.map(({ payload }) => new TextDecoder().decode(payload)), ["one", "two"]);
  assert.ok(envelopes.every(({ publisher_id }) => publisher_id === publisher.id && publisher.id < 2n ** 53n));
  const [{ user, pass, verbose, pedantic, name }] = server.connects as [Record<string, unknown>];
  assert.deepEqual([user, pass, verbose, pedantic, name], ["user", "user", false, false, "stator"]);
});

test("two publishers of a plane share a connection and nothing else", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  const [one, two] = [await opened.plane.publisher(SCOPE, "a"), await opened.plane.publisher(SCOPE, "b")];
  one.publish(bytes("1"));
  two.publish(bytes("2"));
  await server.got(2);
  assert.equal(server.connects.length, 1);
  assert.deepEqual(server.received.map(({ bytes }) => decodeEnvelope(bytes).sequence), [0n, 0n]);
  assert.notEqual(one.id, two.id);
  assert.deepEqual([one.stats.published, two.stats.published], [1, 1]);
});

test("what was published while the server was gone arrives, in order, once it is back", async () => {
  const first = await openFakeNats();
  await using opened = await open(first.port);
  const publisher = await opened.plane.publisher(SCOPE, "kv-events");
  publisher.publish(bytes("0"));
  await eventually("the first to be confirmed", () => publisher.stats.waitingBytes === 0);
  await first[Symbol.asyncDispose]();
  await eventually("the loss", () => opened.lines.some((line) => line.includes("Lost the connection to NATS")));
  for (let i = 1; i <= 3; i++) publisher.publish(bytes(`${i}`));
  assert.ok(publisher.stats.waitingBytes > 0);
  await using second = await openFakeNats({ port: first.port });
  await second.got(3);
  await eventually("all to be confirmed", () => publisher.stats.waitingBytes === 0);
  assert.deepEqual(second.received.map(({ bytes }) => decodeEnvelope(bytes).sequence), [1n, 2n, 3n]);
  assert.deepEqual([publisher.stats.published, publisher.stats.dropped], [4, 0]);
  const said = (text: string) => opened.lines.filter((line) => line.includes(text)).length;
  assert.deepEqual([said("Lost the connection to NATS"), said("Connected to NATS again")], [1, 1]);
});

test("what a server took but did not confirm before it was lost is sent again", async () => {
  const first = await openFakeNats();
  await using opened = await open(first.port);
  const publisher = await opened.plane.publisher(SCOPE, "kv-events");
  first.answers = false;
  publisher.publish(bytes("0"));
  await first.got(1);
  await first[Symbol.asyncDispose]();
  await using second = await openFakeNats({ port: first.port });
  await second.got(1);
  assert.deepEqual(second.received[0]!.bytes, first.received[0]!.bytes);
});

test("a server that takes nothing slows nobody, and what waits for it is bounded and told once", async () => {
  await using server = await openFakeNats({ maxPayload: 16 * 1024 * 1024 });
  await using opened = await open(server.port);
  const publisher = await opened.plane.publisher(SCOPE, "kv-events");
  server.setReading(false);
  const payload = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 100; i++) publisher.publish(payload);
  const { published, dropped, waitingBytes } = publisher.stats;
  assert.equal(published, 100);
  assert.ok(waitingBytes > 0 && waitingBytes <= 32 * 1024 * 1024, `${waitingBytes}`);
  assert.equal(dropped, 100 - Math.floor(waitingBytes / payload.length));
  assert.equal(opened.lines.filter((line) => line.includes("Events are lost")).length, 1);
  server.setReading(true);
  await eventually("the rest to be confirmed", () => publisher.stats.waitingBytes === 0);
  assert.equal(server.received.length, 100 - dropped);
  publisher.publish(bytes("afterwards"));
  await server.got(101 - dropped);
  assert.equal(decodeEnvelope(server.received.at(-1)!.bytes).sequence, 100n);
});

test("a message longer than the server takes is dropped, counted, and told once; others go on", async () => {
  await using server = await openFakeNats({ maxPayload: 1000 });
  await using opened = await open(server.port);
  const publisher = await opened.plane.publisher(SCOPE, "kv-events");
  publisher.publish(new Uint8Array(1000));
  publisher.publish(new Uint8Array(2000));
  publisher.publish(bytes("short"));
  await server.got(1);
  assert.deepEqual([publisher.stats.published, publisher.stats.dropped], [3, 2]);
  const told = opened.lines.filter((line) => line.includes("raise its max_payload"));
  assert.equal(told.length, 1);
  assert.match(told[0]!, /kv-events.*limit=1000/);
});

test("read back: a publisher hears itself, and nobody else", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  const [one, two] = [await opened.plane.publisher(SCOPE, "a"), await opened.plane.publisher(SCOPE, "a")];
  await using back = one.readBack();
  assert.equal(back.address, SUBJECT.replace("kv-events", "a"));
  await back.begun;
  let isBack = false;
  void back.message.then(() => isBack = true);
  two.publish(bytes("not mine"));
  await eventually("the other's to be confirmed", () => two.stats.waitingBytes === 0);
  assert.deepEqual([isBack, back.fault], [false, null]);
  one.publish(bytes("mine"));
  await back.message;
});

test("closing sends what waits; it waits for no server that is gone, and a moment for one that says nothing", async () => {
  const server = await openFakeNats();
  const opened = await open(server.port);
  const publisher = await opened.plane.publisher(SCOPE, "kv-events");
  for (let i = 0; i < 1000; i++) publisher.publish(bytes(`${i}`));
  await publisher[Symbol.asyncDispose]();
  await opened[Symbol.asyncDispose]();
  assert.equal(server.received.length, 1000);
  publisher.publish(bytes("too late"));
  assert.equal(publisher.stats.published, 1000);

  const clock = new FakeClock();
  const mute = await open(server.port, clock);
  server.answers = false;
  const silent = await mute.plane.publisher(SCOPE, "kv-events");
  silent.publish(bytes("x"));
  const closing = mute[Symbol.asyncDispose]();
  await clock.advance(1000);
  await closing;
  assert.deepEqual([silent.stats.dropped, silent.stats.waitingBytes], [1, 0]);

  server.answers = true;
  const left = await open(server.port);
  await server[Symbol.asyncDispose]();
  await eventually("the loss", () => left.lines.some((line) => line.includes("Lost")));
  (await left.plane.publisher(SCOPE, "kv-events")).publish(bytes("x"));
  await left[Symbol.asyncDispose]();
});
