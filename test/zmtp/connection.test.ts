/** The handshake and what comes after it, as a PUB and a SUB do it, with peers that behave and peers that do not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommand } from "../../src/zmtp/command.ts";
import { encodeMessage } from "../../src/zmtp/frame.ts";
import { encodeGreeting } from "../../src/zmtp/greeting.ts";
import { openPub, type PubOptions } from "../../src/zmtp/pub.ts";
import { openSub, type SubOptions } from "../../src/zmtp/sub.ts";
import { bytes, greet, makeRig, readAfterGreeting, readFrames, ready, subscribe, unhex } from "../support/zmtp_peer.ts";

async function boundPub(options: Partial<PubOptions> = {}) {
  const rig = makeRig();
  const pub = openPub({ ...rig.options, ...options });
  await pub.bind("tcp://*:*");
  return { ...rig, pub, conn: rig.net.accept() };
}

async function dialledSub(options: Partial<SubOptions> = {}) {
  const rig = makeRig();
  const got: string[][] = [];
  const onMessage = (parts: readonly Uint8Array[]) =>
    void got.push(parts.map((part) => new TextDecoder().decode(part)));
  const sub = openSub({ ...rig.options, onMessage, topics: [""], ...options });
  sub.connect("tcp://10.0.0.9:5");
  await rig.clock.settle();
  return { ...rig, sub, got, conn: rig.net.dialled[0]! };
}

test("we greet at once, and say READY when the peer's greeting is whole", async () => {
  const { clock, conn } = await boundPub();
  assert.deepEqual(conn.take(), encodeGreeting());
  const greeting = encodeGreeting();
  conn.say(greeting.subarray(0, 10));
  await clock.settle();
  assert.equal(conn.take().length, 0);
  conn.say(greeting.subarray(10));
  await clock.settle();
  assert.deepEqual(readFrames(conn.take()), ["READY"]);
});

test("greeting, READY and subscription may come in one piece or byte by byte", async () => {
  const stream = new Uint8Array([...encodeGreeting(), ...ready("SUB"), ...subscribe("kv")]);
  for (const step of [1, 3, stream.length]) {
    const { clock, conn, pub } = await boundPub();
    for (let at = 0; at < stream.length; at += step) conn.say(stream.subarray(at, at + step));
    assert.equal(pub.publish([bytes("kv-events")]), 1);
    await clock.settle();
    assert.deepEqual(readAfterGreeting(conn.take()), ["READY", "kv-events"]);
  }
});

const NULL = { major: 3, minor: 1, mechanism: "NULL" };
const REFUSED: readonly [what: string, said: Uint8Array[], why: RegExp, told: RegExp | null][] = [
  ["speaks HTTP", [bytes("GET / HTTP/1.1\r\n")], /speaks no ZMTP/, null],
  ["speaks ZMTP 2", [unhex("ff00000000000000017f01")], /ZMTP 2; 3\.0 or later/, null],
  ["wants CURVE", [encodeGreeting({ ...NULL, mechanism: "CURVE" })], /wants CURVE security/, /CURVE/],
  ["is a DEALER", [encodeGreeting(NULL), ready("DEALER")], /a PUB socket, which talks to SUB, XSUB; .* DEALER/, /PUB/],
  ["has no type", [encodeGreeting(NULL), ready("")], /the peer is nameless/, /PUB/],
  ["has an odd type", [encodeGreeting(NULL), ready("ü".repeat(300))], /the peer is ü/, /\?\?/],
  ["begins with a message", [encodeGreeting(NULL), encodeMessage([bytes("x")])], /before it was ready/, /before/],
  ["has endless metadata", [encodeGreeting(NULL), unhex("060000000000100000"), bytes("x")], /1048576 bytes/, /8192/],
  ["announces 4 GiB", [encodeGreeting(NULL), ready("SUB"), unhex("020000000100000000")], /4294967296 bytes/, null],
  ["says READY twice", [encodeGreeting(NULL), ready("SUB"), ready("SUB")], /READY twice/, null],
  [
    "refuses us",
    [encodeGreeting(NULL), encodeCommand({ name: "ERROR", reason: "go away" })],
    /connection: go away/,
    null,
  ],
  ["sends half a READY", [encodeGreeting(NULL), unhex("0408055245414459054142")], /malformed READY/, /malformed/],
  ["pings badly", [encodeGreeting(NULL), ready("SUB"), unhex("04050450494e47")], /malformed PING/, null],
];

for (const [what, said, why, told] of REFUSED) {
  test(`a peer that ${what} is closed, with the reason`, async () => {
    const { clock, conn, events, pub } = await boundPub();
    conn.say(...said);
    await clock.settle();
    const answer = readAfterGreeting(conn.take()).filter((each) => each.startsWith("ERROR")).join();
    if (told === null) assert.equal(answer, "");
    else assert.match(answer, told);
    assert.ok(conn.isEnded || conn.isClosed);
    // One that is told has until the end of the handshake to go.
    await clock.advance(10_000);
    assert.ok(conn.isClosed);
    const last = events.at(-1)!;
    assert.equal(last.kind, "disconnected");
    assert.match(last.error!.message, why);
    conn.say(subscribe(""));
    assert.deepEqual([pub.stats.subscribers, pub.publish([bytes("x")]), clock.pendingTimers], [0, 0, 0]);
  });
}

for (const said of [[], [encodeGreeting().subarray(0, 10)], [encodeGreeting()]]) {
  test(`a peer that stops after ${said[0]?.length ?? 0} bytes is given up when the time is over`, async () => {
    const { clock, conn, events } = await boundPub({ limits: { handshakeTimeoutMs: 500 } });
    conn.say(...said);
    await clock.advance(499);
    assert.equal(conn.isClosed, false);
    await clock.advance(1);
    assert.ok(conn.isClosed);
    assert.match(events[0]!.error!.message, /not ready within 500 ms/);
    assert.equal(clock.pendingTimers, 0);
  });
}

test("a ready peer may be silent for ever, and no timer runs for it", async () => {
  const { clock, conn } = await boundPub();
  await greet(clock, conn, "SUB");
  assert.equal(clock.pendingTimers, 0);
});

test("PING is answered with its context, and its TTL is kept", async () => {
  const { clock, conn, events } = await boundPub();
  await greet(clock, conn, "SUB");
  conn.say(encodeCommand({ name: "PING", ttlMs: 300, context: bytes("ctx") }));
  await clock.settle();
  assert.deepEqual(readFrames(conn.take()), ["PONG ctx"]);
  await clock.advance(300);
  assert.ok(conn.isClosed);
  assert.match(events.at(-1)!.error!.message, /silent for 300 ms/);
});

test("PINGs to a connection that does not read cost no memory", async () => {
  const { clock, conn, pub } = await boundPub();
  await greet(clock, conn, "SUB");
  conn.reads = false;
  for (let i = 0; i < 2000; i++) {
    conn.say(encodeCommand({ name: "PING", ttlMs: 0, context: bytes(`${i}`) }));
    await clock.settle();
  }
  assert.ok(pub.stats.waitingBytes < 100, `${pub.stats.waitingBytes}`);
  conn.drain();
  assert.equal(readFrames(conn.take()).at(-1), "PONG 1999");
});

test("our own heartbeat pings a 3.1 peer, gives a silent one up, and leaves a 3.0 peer alone", async () => {
  const { clock, conn, net, events } = await boundPub({ heartbeat: { intervalMs: 100, ttlMs: 500 } });
  await greet(clock, conn, "SUB");
  const old = net.accept();
  await greet(clock, old, "SUB", 0);
  for (let i = 0; i < 5; i++) {
    await clock.advance(100);
    conn.say(encodeCommand({ name: "PONG", context: bytes("") }));
  }
  assert.deepEqual(readFrames(conn.take()), Array(5).fill("PING "));
  await clock.advance(300);
  assert.ok(conn.isClosed);
  assert.match(events.at(-1)!.error!.message, /silent for/);
  assert.deepEqual([old.take().length, old.isClosed], [0, false]);
});

test("commands nobody knows are ignored", async () => {
  const { clock, conn, pub } = await boundPub();
  await greet(clock, conn, "SUB");
  conn.say(encodeCommand({ name: "unknown", command: "JOIN", data: bytes("x") }), subscribe("a"));
  assert.ok(pub.hasSubscriber("a"));
});

test("a message in pieces is delivered whole, with commands between its parts", async () => {
  const { clock, conn, got } = await dialledSub();
  await greet(clock, conn, "PUB");
  const message = encodeMessage([bytes("kv"), bytes("x".repeat(300)), bytes("")]);
  for (const byte of message.subarray(0, 4)) conn.say(Uint8Array.of(byte));
  conn.say(encodeCommand({ name: "PING", ttlMs: 0, context: bytes("mid") }));
  conn.say(message.subarray(4, 100), message.subarray(100));
  assert.deepEqual(got, [["kv", "x".repeat(300), ""]]);
});

for (
  const [what, limits, message] of [
    ["too many parts", { maxParts: 4 }, Array<Uint8Array>(5).fill(bytes(""))],
    ["too many bytes", { maxMessageBytes: 10 }, [bytes("123456"), bytes("78901")]],
    ["a part that is too long", { maxMessageBytes: 10 }, [bytes("12345678901")]],
  ] as const
) {
  test(`a message of ${what} closes the connection, which is dialled again`, async () => {
    const { clock, conn, got, events, net } = await dialledSub({ limits });
    await greet(clock, conn, "PUB");
    conn.say(encodeMessage([bytes("ok")]), encodeMessage(message));
    await clock.settle();
    assert.deepEqual(got, [["ok"]]);
    assert.equal((events.at(-1)!.error as { kind?: string }).kind, "limit");
    await clock.advance(100);
    assert.equal(net.dialled.length, 2);
  });
}

test("what onMessage throws closes the connection and is told", async () => {
  const { clock, conn, events, net } = await dialledSub({
    onMessage: () => {
      throw new TypeError("cannot decode");
    },
  });
  await greet(clock, conn, "PUB");
  conn.say(encodeMessage([bytes("a")]));
  await clock.settle();
  assert.ok(conn.isClosed);
  assert.equal(events.at(-1)!.error!.message, "cannot decode");
  await clock.advance(100);
  assert.equal(net.dialled.length, 2);
});

test("random bytes at any stage close the connection or do nothing, and leave no timer", async () => {
  let seed = 7;
  const next = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const { clock, net, pub, conn } = await boundPub();
  conn.hangUp();
  const stages = [[], [encodeGreeting()], [encodeGreeting(), ready("SUB")]];
  for (let round = 0; round < 600; round++) {
    const peer = net.accept();
    peer.say(...stages[round % 3]!);
    const noise = Uint8Array.from({ length: 100 }, () => next() * (next() < 0.6 ? 8 : 256));
    for (let at = 0; at < noise.length;) {
      const end = at + 1 + Math.floor(next() * 30);
      peer.say(noise.subarray(at, end));
      at = end;
    }
    pub.publish([bytes("x")]);
    if (next() < 0.5) peer.hangUp();
  }
  await clock.settle();
  const closing = pub[Symbol.asyncDispose]();
  await clock.advance(10_000);
  await closing;
  assert.deepEqual([clock.pendingTimers, pub.stats.subscribers], [0, 0]);
});
