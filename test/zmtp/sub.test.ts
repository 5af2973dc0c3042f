import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage } from "../../src/zmtp/frame.ts";
import { openSub, type SubOptions } from "../../src/zmtp/sub.ts";
import { bytes, greet, makeRig, readAfterGreeting, readFrames, ready, text } from "../support/zmtp_peer.ts";
import { encodeGreeting } from "../../src/zmtp/greeting.ts";

async function dialled(options: Partial<SubOptions> = {}) {
  const rig = makeRig();
  const got: string[] = [];
  const onMessage: SubOptions["onMessage"] = (parts, remote) => void got.push(`${remote} ${parts.map(text).join("|")}`);
  const sub = openSub({ ...rig.options, onMessage, ...options });
  sub.connect("tcp://10.0.0.9:5");
  await rig.clock.settle();
  return { ...rig, sub, got, conn: rig.net.dialled[0]! };
}

for (const [minor, form] of [[0, ["\u0001kv", "\u0001m"]], [1, ["SUBSCRIBE kv", "SUBSCRIBE m"]]] as const) {
  test(`a publisher of ZMTP 3.${minor} is told the topics in its form, in one write`, async () => {
    const { clock, conn } = await dialled({ topics: ["kv", bytes("m")] });
    conn.say(encodeGreeting({ major: 3, minor, mechanism: "NULL" }), ready("PUB"));
    await clock.settle();
    assert.equal(conn.writes.length, 2);
    assert.deepEqual(readAfterGreeting(conn.take()), ["READY", ...form]);
  });
}

test("messages of wanted topics are delivered, others are counted", async () => {
  const { clock, conn, got, sub } = await dialled({ topics: ["kv"] });
  await greet(clock, conn, "XPUB");
  conn.say(encodeMessage([bytes("kv-events"), bytes("1")]), encodeMessage([bytes("other")]));
  assert.deepEqual(got, ["10.0.0.9:5 kv-events|1"]);
  assert.deepEqual(sub.stats, { publishers: 1, received: 1, filtered: 1 });
});

test("topics may change at any time, are counted, and are told again after a lost connection", async () => {
  const { clock, conn, net, sub } = await dialled();
  sub.subscribe("early");
  await greet(clock, conn, "PUB");
  sub.subscribe("late");
  sub.subscribe("late");
  sub.unsubscribe("late");
  sub.unsubscribe("early");
  sub.unsubscribe("never");
  await clock.settle();
  assert.deepEqual(readFrames(conn.take()), ["SUBSCRIBE late", "CANCEL early"]);
  conn.hangUp();
  await clock.advance(100);
  const again = net.dialled[1]!;
  again.say(encodeGreeting(), ready("PUB"));
  await clock.settle();
  assert.deepEqual(readAfterGreeting(again.take()), ["READY", "SUBSCRIBE late"]);
});

test("a message that was cut off by a lost connection is never delivered", async () => {
  const { clock, conn, net, got } = await dialled({ topics: [""] });
  await greet(clock, conn, "PUB");
  const message = encodeMessage([bytes("first"), bytes("second")]);
  conn.say(message.subarray(0, -1));
  conn.hangUp();
  await clock.advance(100);
  await greet(clock, net.dialled[1]!, "PUB");
  net.dialled[1]!.say(message);
  assert.deepEqual(got, ["10.0.0.9:5 first|second"]);
});

test("setReading() holds for publishers that are there and that come", async () => {
  const { clock, conn, net, sub } = await dialled({ topics: [""], lingerMs: 100 });
  await greet(clock, conn, "PUB");
  sub.setReading(false);
  assert.equal(conn.isReading, false);
  sub.connect("tcp://10.0.0.9:6");
  await clock.settle();
  await greet(clock, net.dialled[1]!, "PUB");
  assert.equal(net.dialled[1]!.isReading, false);
  sub.setReading(true);
  assert.ok(conn.isReading && net.dialled[1]!.isReading);
  sub.setReading(false);
  const closing = sub[Symbol.asyncDispose]();
  assert.ok(conn.isReading, "the peer's end must be noticed");
  await clock.advance(100);
  await closing;
});

test("publishers may connect to a SUB that is bound", async () => {
  const { clock, net, options } = makeRig();
  const got: string[] = [];
  const sub = openSub({ ...options, topics: ["kv"], onMessage: ([topic]) => void got.push(text(topic!)) });
  assert.equal(await sub.bind("tcp://[::1]:*"), "tcp://[::1]:4000");
  const conn = net.accept();
  await greet(clock, conn, "PUB");
  conn.say(encodeMessage([bytes("kv")]));
  assert.deepEqual(got, ["kv"]);
});

test("no message comes after closing has begun", async () => {
  const { clock, conn, got, sub } = await dialled({ topics: [""] });
  await greet(clock, conn, "PUB");
  const closing = sub[Symbol.asyncDispose]();
  conn.say(encodeMessage([bytes("late")]));
  conn.hangUp();
  await closing;
  assert.deepEqual([got, clock.pendingTimers], [[], 0]);
});
