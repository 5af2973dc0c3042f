import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommand } from "../../src/zmtp/command.ts";
import { encodeMessage } from "../../src/zmtp/frame.ts";
import { openPub, type PubOptions } from "../../src/zmtp/pub.ts";
import { bytes, greet, legacySubscribe, makeRig, readFrames, subscribe, text } from "../support/zmtp_peer.ts";

async function bound(options: Partial<PubOptions> = {}) {
  const rig = makeRig();
  const pub = openPub({ ...rig.options, ...options });
  const endpoint = await pub.bind("tcp://*:*");
  const subscriber = async (...topics: string[]) => {
    const conn = rig.net.accept();
    await greet(rig.clock, conn, "SUB");
    for (const topic of topics) conn.say(subscribe(topic));
    return conn;
  };
  return { ...rig, pub, endpoint, subscriber };
}

test("bind() returns the endpoint with its port, and says why it could not", async () => {
  const { pub, endpoint, net } = await bound();
  assert.equal(endpoint, "tcp://0.0.0.0:4000");
  await assert.rejects(pub.bind("ipc:///x"), SyntaxError);
  net.listen = () => Promise.reject(Object.assign(new Error("x"), { code: "EADDRINUSE" }));
  await assert.rejects(pub.bind("tcp://*:5"), /Cannot bind tcp:\/\/\*:5: the port is in use/);
  await pub[Symbol.asyncDispose]();
  await assert.rejects(pub.bind("tcp://*:5"), /closed/);
});

test("messages go to those who want them, subscriptions come in both forms", async () => {
  const { clock, pub, subscriber } = await bound();
  const [kv, all, none] = [await subscriber("kv"), await subscriber(), await subscriber("other")];
  all.say(legacySubscribe(""));
  assert.equal(pub.publish([bytes("kv-events"), bytes("1")]), 2);
  assert.equal(pub.publish([bytes("metrics"), bytes("2")]), 1);
  all.say(legacySubscribe("", false));
  kv.say(encodeCommand({ name: "CANCEL", topic: bytes("kv") }));
  assert.equal(pub.publish([bytes("kv-events"), bytes("3")]), 0);
  await clock.settle();
  assert.deepEqual(readFrames(kv.take()), ["kv-events+", "1"]);
  assert.deepEqual(readFrames(all.take()), ["kv-events+", "1", "metrics+", "2"]);
  assert.equal(none.writes.length, 0);
  const { published, sent, dropped, cut, subscribers } = pub.stats;
  assert.deepEqual({ published, sent, dropped, cut, subscribers }, {
    published: 3,
    sent: 3,
    dropped: 0,
    cut: 0,
    subscribers: 3,
  });
});

test("a turn's messages leave in one write per subscriber, encoded once for all", async () => {
  const { clock, pub, subscriber } = await bound();
  const conns = await Promise.all(Array.from({ length: 3 }, () => subscriber("")));
  // After a long message there is room for many short ones in one place.
  pub.publish([new Uint8Array(130_000)]);
  await clock.settle();
  for (const conn of conns) conn.take();
  const part = bytes("reused".repeat(40));
  for (let i = 0; i < 100; i++) pub.publish([part, Uint8Array.of(48 + i % 10)]);
  part.fill(0);
  await clock.settle();
  for (const conn of conns) assert.equal(conn.writes.length, 1);
  assert.ok(conns.every(({ writes }) => writes[0]!.buffer === conns[0]!.writes[0]!.buffer));
  const frames = readFrames(conns[1]!.take());
  assert.deepEqual([frames.length, frames[0]!.slice(-7), frames[199]], [200, "reused+", "9"]);
});

test("an XSUB's own messages, and what is no subscription, do nothing", async () => {
  const { clock, pub, net } = await bound();
  const conn = net.accept();
  await greet(clock, conn, "XSUB");
  for (const parts of [["upstream"], [""], ["\u0001a", "b"]]) conn.say(encodeMessage(parts.map(bytes)));
  assert.equal(pub.hasSubscriber("upstream"), false);
  conn.say(subscribe("a"));
  assert.ok(pub.hasSubscriber("a") && !conn.isClosed);
});

test("1000 subscriptions are taken; more than the limit, or a long topic, end the connection", async () => {
  const { clock, pub, subscriber, events } = await bound({ limits: { maxSubscriptions: 1000, maxTopicBytes: 100 } });
  const conn = await subscriber(...Array.from({ length: 1000 }, (_, i) => `topic ${i} of many`));
  assert.ok(pub.hasSubscriber("topic 999 of many"));
  conn.say(subscribe("one more"));
  await clock.settle();
  assert.match(events.at(-1)!.error!.message, /more than 1000 topics/);
  assert.equal(pub.stats.subscribers, 0);
  await subscriber("t".repeat(100));
  assert.equal(pub.stats.subscribers, 1);
  await subscriber("t".repeat(101));
  await clock.settle();
  assert.match(events.at(-1)!.error!.message, /frame of 111 bytes \(max: 110 bytes\)/);
});

test("no more than the limit of peers is accepted, and places come free", async () => {
  const { clock, net, pub, events } = await bound({ limits: { maxPeers: 2 } });
  const [first] = [net.accept(), net.accept()];
  const third = net.accept();
  await clock.settle();
  assert.ok(third.isClosed);
  assert.match(events.at(-1)!.error!.message, /More than 2 peers/);
  first!.hangUp();
  await clock.settle();
  await greet(clock, net.accept(), "SUB");
  assert.equal(pub.stats.subscribers, 1);
});

test("a subscriber that never reads is cut at its mark, told of, counted; others miss nothing", async () => {
  const { clock, pub, subscriber, events } = await bound({ highWaterMark: { messages: 10 } });
  const [slow, good] = [await subscriber(""), await subscriber("")];
  slow.reads = false;
  let most = 0;
  for (let i = 0; i < 1000; i++) {
    pub.publish([bytes(`${i}`)]);
    await clock.settle();
    most = Math.max(most, pub.stats.waitingMessages);
  }
  assert.ok(slow.isClosed);
  assert.equal(most, 10);
  assert.deepEqual(readFrames(good.take()), Array.from({ length: 1000 }, (_, i) => `${i}`));
  const lost = events.find(({ kind }) => kind === "disconnected")!;
  assert.deepEqual([(lost.error as { kind?: string }).kind, lost.remote], ["slow", slow.remote]);
  assert.match(lost.error!.message, /does not read fast enough \(waiting: 10 messages/);
  const { cut, dropped, sent, waitingBytes, subscribers } = pub.stats;
  // The first went out before anybody knew; ten waited and one more was one too many.
  assert.deepEqual({ cut, dropped, sent, waitingBytes, subscribers }, {
    cut: 1,
    dropped: 11,
    sent: 1001,
    waitingBytes: 0,
    subscribers: 1,
  });
});

test("100 subscribers that never read hold no more than their marks", async () => {
  const { clock, pub, subscriber } = await bound({ highWaterMark: { bytes: 10_000 } });
  for (let i = 0; i < 100; i++) (await subscriber("")).reads = false;
  let most = 0;
  for (let i = 0; i < 200; i++) {
    pub.publish([bytes("x".repeat(1000))]);
    if (i % 3 === 0) await clock.settle();
    most = Math.max(most, pub.stats.waitingBytes);
  }
  assert.ok(most <= 100 * 10_000, `${most}`);
  assert.deepEqual([pub.stats.cut, pub.stats.waitingBytes], [100, 0]);
});

test("with drop, a slow subscriber stays and misses one stretch of messages", async () => {
  const { clock, pub, subscriber } = await bound({ highWaterMark: { messages: 10 }, slowSubscriber: "drop" });
  const slow = await subscriber("");
  slow.reads = false;
  const publish = async (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      pub.publish([bytes(`${i}`)]);
      await clock.settle();
    }
  };
  await publish(0, 20);
  slow.reads = true;
  slow.drain();
  await publish(20, 22);
  assert.deepEqual(readFrames(slow.take()), [...Array.from({ length: 11 }, (_, i) => `${i}`), "20", "21"]);
  assert.deepEqual([pub.stats.cut, pub.stats.dropped], [0, 9]);
});

test("what waited for a subscriber that leaves counts as dropped", async () => {
  const { clock, pub, subscriber } = await bound();
  const conn = await subscriber("");
  conn.reads = false;
  for (let i = 0; i < 5; i++) {
    pub.publish([bytes("x")]);
    await clock.settle();
  }
  conn.hangUp(new Error("reset"));
  await clock.settle();
  const { sent, dropped, cut } = pub.stats;
  assert.deepEqual([sent, dropped, cut], [1, 4, 0]);
});

test("subscribed() waits for a subscriber of that topic, and always settles", async () => {
  const { clock, pub, subscriber } = await bound();
  const waits = [pub.subscribed("kv-events"), pub.subscribed(bytes("kv-other"))];
  const control = new AbortController();
  const aborted = pub.subscribed("never", control.signal);
  const late = pub.subscribed("never either");
  await subscriber("metrics", "kv-");
  assert.deepEqual(await Promise.all(waits), [true, true]);
  assert.equal(await pub.subscribed("kv-now"), true);
  control.abort();
  assert.equal(await aborted, false);
  assert.equal(await pub.subscribed("kv", AbortSignal.abort()), false);
  const closing = pub[Symbol.asyncDispose]();
  assert.equal(await late, false);
  await clock.advance(1000);
  await closing;
  assert.equal(await pub.subscribed("kv-now"), false);
});

test("closing sends what this turn published, ends each connection and waits for the peers to close", async () => {
  const { clock, net, pub, subscriber } = await bound();
  const conn = await subscriber("");
  const unready = net.accept();
  pub.publish([bytes("last words")]);
  let isClosed = false;
  const closing = pub[Symbol.asyncDispose]().then(() => isClosed = true);
  await clock.settle();
  assert.deepEqual(readFrames(conn.take()), ["last words"]);
  assert.deepEqual([conn.isEnded, conn.isClosed, unready.isClosed, isClosed], [true, false, true, false]);
  assert.equal(net.listeners.length, 0);
  assert.equal(pub.publish([bytes("too late")]), 0);
  conn.handlers.end?.();
  conn.hangUp();
  await closing;
  assert.equal(clock.pendingTimers, 0);
});

test("closing is bounded: a subscriber that does not read is dropped when the time is over", async () => {
  const { clock, pub, subscriber } = await bound({ lingerMs: 300 });
  const conn = await subscriber("");
  conn.reads = false;
  for (let i = 0; i < 3; i++) {
    pub.publish([bytes("x")]);
    await clock.settle();
  }
  const closing = pub[Symbol.asyncDispose]();
  await clock.advance(299);
  assert.deepEqual([conn.isEnded, conn.isClosed], [false, false]);
  await clock.advance(1);
  await closing;
  assert.ok(conn.isClosed);
  assert.equal(clock.pendingTimers, 0);
  assert.equal(pub[Symbol.asyncDispose](), pub[Symbol.asyncDispose](), "closing again is the same closing");
});

test("a peer that connects while the socket closes is dropped", async () => {
  const { clock, net, pub, subscriber } = await bound({ lingerMs: 300 });
  await subscriber("");
  const closing = pub[Symbol.asyncDispose]();
  await clock.settle();
  const late = net.accept();
  await clock.advance(300);
  await closing;
  assert.ok(late.isClosed);
});

test("a PUB that connects serves an XSUB like any subscriber, and dials again after cutting it", async () => {
  const { clock, net, options } = makeRig();
  await using pub = openPub({ ...options, highWaterMark: { messages: 1 }, lingerMs: 0 });
  pub.connect("tcp://10.0.0.2:9");
  await clock.settle();
  const broker = net.dialled[0]!;
  await greet(clock, broker, "XSUB");
  broker.say(subscribe("namespace."));
  pub.publish([bytes("namespace.a"), bytes("1")]);
  await clock.settle();
  assert.deepEqual(readFrames(broker.take()), ["namespace.a+", "1"]);
  broker.reads = false;
  for (let i = 0; i < 3; i++) {
    pub.publish([bytes("namespace.a"), bytes("x")]);
    await clock.settle();
  }
  assert.ok(broker.isClosed);
  await clock.advance(100);
  const again = net.dialled[1]!;
  await greet(clock, again, "XSUB");
  again.say(subscribe(""));
  assert.equal(pub.publish([bytes("x")]), 1);
  await clock.settle();
  assert.match(text(again.take()), /x/);
});

test("a message needs a part", async () => {
  const { pub } = await bound();
  assert.throws(() => pub.publish([]), RangeError);
});
