/**
 * Our ZMTP sockets beside libzmq's own, on both ends and through a broker.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { realPlatform } from "../../src/platform/real.ts";
import { openDealer } from "../../src/zmtp/dealer.ts";
import type { SocketEvent } from "../../src/zmtp/links.ts";
import { openPub, type PubSocket } from "../../src/zmtp/pub.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { requirePeers } from "../support/peers.ts";
import { pause, until } from "../support/processes.ts";
import { counted, startZmq } from "../support/zmq_peer.ts";
import { bytes, hex, text } from "../support/zmtp_peer.ts";

const { net, clock, random } = realPlatform;
const parts = { net, clock, random };
const LIMIT = { timeout: 60_000 };
const TOPIC = bytes("kv-events");

/** A message as Dynamo's publishers send it, but for the envelope. */
function message(number: number, payload = bytes("payload")): Uint8Array[] {
  const sequence = new Uint8Array(8);
  new DataView(sequence.buffer).setBigUint64(0, BigInt(number));
  return [TOPIC, sequence, sequence, payload];
}

async function subscribed(pub: PubSocket, topic = "kv-events"): Promise<void> {
  await until(`a subscriber of ${topic}`, 10_000, () => pub.hasSubscriber(topic));
}

for (const [name, bind] of [["IPv4", "tcp://127.0.0.1:*"], ["IPv6", "tcp://[::1]:*"]] as const) {
  test(
    `our PUB, libzmq SUB, over ${name}: parts of every length, topics, an end of the subscription`,
    LIMIT,
    async (t) => {
      if (!requirePeers(t)) return;
      if (name === "IPv6" && !net.interfaces().some(({ address }) => address === "::1")) return;
      await using pub = openPub(parts);
      await using sub = startZmq("sub", await pub.bind(bind), { topic: "kv-" });
      await subscribed(pub);
      assert.equal(pub.publish([bytes("other"), bytes("x")]), 0);
      for (const length of [0, 1, 255, 256, 70_000]) pub.publish([TOPIC, new Uint8Array(length).fill(length)]);
      const last = new RegExp(`got ${hex(TOPIC)} (?:${(70_000 & 255).toString(16)}){70000}\n`);
      await sub.waitFor(last, 10_000);
      const lengths = [...sub.stdout().matchAll(/^got \w+ (\S+)$/gm)].map(([, part]) =>
        part === "-" ? 0 : part!.length / 2
      );
      assert.deepEqual(lengths, [0, 1, 255, 256, 70_000]);
      pub.publish([bytes("kv-unsubscribe")]);
      await until("the subscription to end", 10_000, () => !pub.hasSubscriber("kv-events"));
      assert.equal(pub.stats.subscribers, 1);
    },
  );
}

test("a libzmq SUB that restarts, and a PUB that restarts on its port, find each other again", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  const first = openPub(parts);
  const endpoint = await first.bind("tcp://127.0.0.1:*");
  {
    await using sub = startZmq("sub", endpoint);
    await subscribed(first);
    first.publish([TOPIC, bytes("one")]);
    await sub.waitFor(new RegExp(hex(bytes("one"))), 10_000);
  }
  await until("the subscriber to go", 10_000, () => first.stats.subscribers === 0);
  await using sub = startZmq("sub", endpoint);
  await subscribed(first);
  first.publish([TOPIC, bytes("two")]);
  await sub.waitFor(new RegExp(hex(bytes("two"))), 10_000);
  first.publish([TOPIC, bytes("last words")]);
  await first[Symbol.asyncDispose]();
  await sub.waitFor(new RegExp(hex(bytes("last words"))), 10_000);
  await using second = openPub(parts);
  await second.bind(endpoint);
  await subscribed(second);
  second.publish([TOPIC, bytes("three")]);
  await sub.waitFor(new RegExp(hex(bytes("three"))), 10_000);
});

test("libzmq PUB, our SUB: messages come, and come again when the publisher was restarted", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  const got: string[][] = [];
  const events: SocketEvent["kind"][] = [];
  await using sub = openSub({
    ...parts,
    topics: ["kv"],
    onMessage: (each) => void got.push(each.map(text)),
    onEvent: ({ kind }) => void events.push(kind),
  });
  let endpoint = "tcp://127.0.0.1:*";
  {
    await using pub = startZmq("pub", endpoint, { bind: "1" });
    endpoint = (await pub.waitFor(/bound (\S+)/, 20_000))[1]!;
    sub.connect(endpoint);
    await until("messages", 10_000, () => got.length > 5);
  }
  await until("the end of the connection", 10_000, () => sub.stats.publishers === 0);
  const before = got.length;
  await using _pub = startZmq("pub", endpoint, { bind: "1" });
  await until("messages", 20_000, () => got.length > before + 5);
  assert.deepEqual([...new Set(got.map(([topic, , payload, empty]) => `${topic} ${payload} ${empty}`))], [
    "kv-events payload ",
  ]);
  assert.deepEqual(events.filter((kind) => kind !== "unreachable"), ["connected", "disconnected", "connected"]);
  sub.unsubscribe("kv");
  await pause(200);
  const after = got.length;
  await pause(200);
  assert.equal(got.length, after);
});

test("a libzmq PUB that connects finds our SUB that is bound", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  let count = 0;
  await using sub = openSub({ ...parts, topics: [""], onMessage: () => void count++ });
  await using _pub = startZmq("pub", await sub.bind("tcp://127.0.0.1:*"));
  await until("messages", 20_000, () => count > 5);
});

test("through a libzmq broker: our PUB and a libzmq PUB reach our SUB and a libzmq SUB", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  await using broker = startZmq("proxy", "tcp://127.0.0.1:*");
  const xsub = (await broker.waitFor(/xsub (\S+)/, 20_000))[1]!;
  const xpub = (await broker.waitFor(/xpub (\S+)/, 20_000))[1]!;
  await using pub = openPub(parts);
  pub.connect(xsub);
  const got = new Set<string>();
  await using sub = openSub({ ...parts, topics: ["kv-"], onMessage: (each) => void got.add(text(each.at(-2)!)) });
  sub.connect(xpub);
  await using theirSub = startZmq("sub", xpub, { topic: "kv-events" });
  await using _theirPub = startZmq("pub", xsub);
  await subscribed(pub);
  await until("our message and theirs", 20_000, () => {
    pub.publish([TOPIC, bytes("x"), bytes("ours"), bytes("")]);
    const seen = theirSub.stdout();
    return got.has("ours") && got.has("payload") && seen.includes(hex(bytes("ours"))) &&
      seen.includes(hex(bytes("payload")));
  });
});

for (const who of ["libzmq's", "our"] as const) {
  test(`connections live through silence with ${who} heartbeats on, both ways`, LIMIT, async (t) => {
    if (!requirePeers(t)) return;
    const events: SocketEvent["kind"][] = [];
    const heartbeat = who === "our" ? { heartbeat: { intervalMs: 200, timeoutMs: 600, ttlMs: 600 } } : {};
    const options = who === "our" ? {} : { heartbeat: "200" };
    const onEvent = ({ kind }: SocketEvent) => void events.push(kind);
    await using pub = openPub({ ...parts, ...heartbeat, onEvent });
    await using theirSub = startZmq("sub", await pub.bind("tcp://127.0.0.1:*"), options);
    await using theirPub = startZmq("flood", "tcp://127.0.0.1:*", { ...options, bind: "1", messages: "1", size: "1" });
    let count = 0;
    await using sub = openSub({ ...parts, ...heartbeat, onEvent, topics: [""], onMessage: () => void count++ });
    sub.connect((await theirPub.waitFor(/bound (\S+)/, 20_000))[1]!);
    await subscribed(pub);
    await until("the other publisher", 10_000, () => count === 2);
    await pause(2500);
    assert.deepEqual(events, ["connected", "connected"]);
    if (who === "our") {
      theirSub.signal("SIGSTOP");
      await until("the frozen peer to be given up", 10_000, () => events.includes("disconnected"));
    } else {
      pub.publish([TOPIC, bytes("still here")]);
      await theirSub.waitFor(new RegExp(hex(bytes("still here"))), 10_000);
    }
  });
}

test("a frozen libzmq subscriber is cut; the other misses nothing; thawed, it comes back", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  await using pub = openPub({ ...parts, highWaterMark: { bytes: 4 << 20 } });
  const endpoint = await pub.bind("tcp://127.0.0.1:*");
  await using frozen = startZmq("sub", endpoint, { hwm: "10" });
  await subscribed(pub);
  await using other = startZmq("count", endpoint);
  await until("both", 20_000, () => pub.stats.subscribers === 2);
  await pause(200);
  frozen.signal("SIGSTOP");
  const payload = new Uint8Array(10_000);
  let most = 0;
  let number = 0;
  for (; pub.stats.cut === 0 && number < 100_000; number++) {
    pub.publish(message(number, payload));
    most = Math.max(most, pub.stats.waitingBytes);
    if (number % 20 === 19) await pause(1);
  }
  assert.equal(pub.stats.cut, 1);
  assert.ok(most < 9 << 20, `at most ${most} bytes waited`);
  for (const end = number + 100; number < end; number++) pub.publish(message(number, payload));
  pub.publish([TOPIC, bytes("end")]);
  const { messages, gaps } = await counted(other);
  assert.deepEqual([messages, gaps], [number, 0]);
  frozen.signal("SIGCONT");
  await until("it to come back", 10_000, () => pub.stats.subscribers === 2 && pub.publish(message(0)) === 2);
  console.log(`cut after ${number} messages of 10 kB; ${(most / 1e6).toFixed(1)} MB waited at most`, pub.stats);
});

test("our DEALER asks a libzmq ROUTER as one asks for a replay, and a REP", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  await using router = startZmq("router", "tcp://127.0.0.1:*", { bind: "1" });
  const got: string[][] = [];
  await using dealer = openDealer({
    ...parts,
    endpoint: (await router.waitFor(/bound (\S+)/, 20_000))[1]!,
    identity: bytes("stator"),
    onReady: () => void dealer.send([bytes(""), message(7)[1]!]),
    onMessage: (each) => void got.push([text(each[0]!), hex(each[1]!), text(each[2]!)]),
  });
  await until("the answers", 10_000, () => got.length === 4);
  assert.deepEqual(got.slice(2), [["", "0000000000000009", "batch 9"], ["", "ffffffffffffffff", ""]]);
  await router.waitFor(new RegExp(`asked ${hex(bytes("stator"))} 0000000000000007`), 1000);

  await using rep = startZmq("rep", "tcp://127.0.0.1:*", { bind: "1" });
  const echoed: string[] = [];
  await using asker = openDealer({
    ...parts,
    endpoint: (await rep.waitFor(/bound (\S+)/, 20_000))[1]!,
    onReady: () => void asker.send([bytes(""), bytes("hello")]),
    onMessage: (each) => void echoed.push(each.map(text).join("|")),
  });
  await until("the echo", 10_000, () => echoed.length === 1);
  assert.deepEqual(echoed, ["|echo|hello"]);
});
