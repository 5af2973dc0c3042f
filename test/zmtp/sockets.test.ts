/** Our sockets among themselves, over real TCP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conn, ConnHandlers } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeGreeting } from "../../src/zmtp/greeting.ts";
import { openPub } from "../../src/zmtp/pub.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { eventually } from "../support/worker_rig.ts";
import { bytes, ready, subscribe, text } from "../support/zmtp_peer.ts";

const { net, clock, random } = realPlatform;
const parts = { net, clock, random, reconnect: { minMs: 5, maxMs: 20 } };

/** A subscriber that never reads a byte after its subscription. */
async function deafSubscriber(host: string, port: number): Promise<{ readonly conn: Conn; isClosed(): boolean }> {
  let isClosed = false;
  const handlers: ConnHandlers = { data() {}, closed: () => void (isClosed = true) };
  const conn = await net.dial({ host, port }, handlers);
  conn.setReading(false);
  for (const said of [encodeGreeting(), ready("SUB"), subscribe("")]) conn.write(said);
  return { conn, isClosed: () => isClosed };
}

for (const host of ["127.0.0.1", "[::1]"]) {
  test(`eight SUBs get what one PUB publishes, whole and in order, over ${host}`, async () => {
    if (host === "[::1]" && !net.interfaces().some(({ address }) => address === "::1")) return;
    await using pub = openPub(parts);
    const endpoint = await pub.bind(`tcp://${host}:*`);
    await using subs = new AsyncDisposableStack();
    const sums = Array.from({ length: 8 }, (_, which) => {
      const sum = { count: 0, bytes: 0, inOrder: true };
      const onMessage = ([, number, payload]: readonly Uint8Array[]) => {
        if (Number(text(number!)) !== sum.count++) sum.inOrder = false;
        sum.bytes += payload!.length;
      };
      const sub = subs.use(openSub({ ...parts, topics: which % 2 === 0 ? ["kv"] : ["other", ""], onMessage }));
      sub.connect(endpoint);
      return sum;
    });
    const ours = () => pub.stats.subscribers === 8 && pub.publish([bytes("kv"), bytes("0"), bytes("")]);
    await eventually("all subscriptions", () => sums.every(({ count }) => count > 0) || (ours(), false));
    for (const sum of sums) Object.assign(sum, { count: 0, bytes: 0, inOrder: true });
    for (let i = 0; i < 2000; i++) pub.publish([bytes("kv"), bytes(`${i}`), new Uint8Array(i)]);
    await eventually("every message", () => sums.every(({ count }) => count >= 2000));
    for (const sum of sums) assert.deepEqual(sum, { count: 2000, bytes: 1999 * 1000, inOrder: true });
  });
}

test("a subscriber that never reads is cut with bounded memory; one beside it gets everything", async () => {
  await using pub = openPub({ ...parts, highWaterMark: { bytes: 4 << 20 } });
  const [, host, port] = /tcp:\/\/(.+):(\d+)/.exec(await pub.bind("tcp://127.0.0.1:*"))!;
  const deaf = await deafSubscriber(host!, Number(port));
  let count = 0;
  await using sub = openSub({ ...parts, topics: [""], onMessage: () => void count++ });
  sub.connect(`tcp://${host}:${port}`);
  await eventually("both", () => pub.publish([bytes("hello")]) === 2);
  await eventually("the first message", () => count > 0);
  const payload = new Uint8Array(64 * 1024);
  let published = 0;
  let most = 0;
  const before = count;
  while (pub.stats.cut === 0 && published < 2000) {
    pub.publish([payload]);
    published++;
    most = Math.max(most, pub.stats.waitingBytes);
    // The one that reads keeps up.
    await eventually("the message", () => count === before + published);
  }
  assert.equal(pub.stats.cut, 1);
  assert.ok(most <= (4 << 20) + 200_000, `${most} bytes waited`);
  deaf.conn.setReading(true);
  deaf.conn.destroy();
  await eventually("its end", deaf.isClosed);
});

test("a PUB that connects and a SUB that is bound find each other again after either is gone", async () => {
  await using pub = openPub(parts);
  let endpoint = "tcp://127.0.0.1:*";
  for (let round = 0; round < 3; round++) {
    let count = 0;
    await using sub = openSub({ ...parts, topics: [""], onMessage: () => void count++ });
    endpoint = await sub.bind(endpoint);
    if (round === 0) pub.connect(endpoint);
    assert.equal(await pub.subscribed("x"), true);
    pub.publish([bytes("x")]);
    await eventually("the message", () => count === 1);
    await sub[Symbol.asyncDispose]();
    await eventually("the end of the subscription", () => !pub.hasSubscriber("x"));
  }
});

test("what was published just before closing arrives", async () => {
  let length = 0;
  await using sub = openSub({ ...parts, topics: [""], onMessage: ([part]) => void (length += part!.length) });
  const pub = openPub({ ...parts, lingerMs: 20_000 });
  sub.connect(await pub.bind("tcp://127.0.0.1:*"));
  assert.ok(await pub.subscribed(""));
  for (let i = 0; i < 160; i++) pub.publish([new Uint8Array(100_000)]);
  await pub[Symbol.asyncDispose]();
  await eventually("everything", () => length === 16_000_000);
});
