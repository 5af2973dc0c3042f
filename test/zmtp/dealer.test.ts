import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCommand } from "../../src/zmtp/command.ts";
import { type DealerOptions, openDealer } from "../../src/zmtp/dealer.ts";
import { encodeMessage, FrameDecoder } from "../../src/zmtp/frame.ts";
import { encodeGreeting, GREETING_BYTES } from "../../src/zmtp/greeting.ts";
import { bytes, greet, makeRig, readFrames, ready, text } from "../support/zmtp_peer.ts";

async function dialled(options: Partial<DealerOptions> = {}) {
  const rig = makeRig();
  const got: string[] = [];
  const onMessage = (parts: readonly Uint8Array[]) => void got.push(parts.map(text).join("|"));
  const dealer = openDealer({ ...rig.options, onMessage, endpoint: "tcp://10.0.0.9:5", ...options });
  await rig.clock.settle();
  return { ...rig, dealer, got, conn: rig.net.dialled[0]! };
}

test("questions go out once the peer is ready, again after a lost connection, and answers come in", async () => {
  const { clock, conn, dealer, got, net } = await dialled({
    onReady: () => void dealer.send([bytes(""), bytes("from 7")]),
  });
  assert.equal(dealer.isReady, false);
  assert.equal(dealer.send([bytes("early")]), false);
  conn.say(encodeGreeting(), ready("ROUTER"));
  await clock.settle();
  assert.ok(dealer.isReady);
  assert.deepEqual(readFrames(conn.take().subarray(GREETING_BYTES)), ["READY", "+", "from 7"]);
  conn.say(encodeMessage([bytes(""), bytes("7"), bytes("batch")]));
  assert.deepEqual(got, ["|7|batch"]);
  conn.hangUp();
  await clock.settle();
  assert.equal(dealer.isReady, false);
  await clock.advance(100);
  net.dialled[1]!.say(encodeGreeting(), ready("ROUTER"));
  await clock.settle();
  assert.deepEqual(readFrames(net.dialled[1]!.take().subarray(GREETING_BYTES)), ["READY", "+", "from 7"]);
});

test("READY carries the identity", async () => {
  for (const identity of [undefined, bytes("me")]) {
    const { clock, conn } = await dialled(identity === undefined ? {} : { identity });
    conn.say(encodeGreeting());
    await clock.settle();
    let found: string | undefined;
    new FrameDecoder(1000).push(conn.take().subarray(GREETING_BYTES), (body) => {
      const command = decodeCommand(body);
      if (command.name === "READY") found = text(command.metadata.get("identity")!);
    });
    assert.equal(found, identity === undefined ? "" : "me");
  }
});

test("a peer that does not read is sent no more than the mark", async () => {
  const { clock, conn, dealer } = await dialled({ highWaterMark: { messages: 3 } });
  await greet(clock, conn, "REP");
  conn.reads = false;
  const taken: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    taken.push(dealer.send([bytes("x")]));
    await clock.settle();
  }
  assert.deepEqual(taken, [true, true, true, true, false, false]);
  assert.equal(conn.isClosed, false);
});

test("onReady that throws closes the connection, and nothing is sent into it", async () => {
  const { clock, conn, dealer, events } = await dialled({
    onReady: () => {
      throw new Error("no question");
    },
  });
  await greet(clock, conn, "ROUTER");
  assert.ok(conn.isClosed);
  assert.equal(dealer.isReady, false);
  assert.equal(events.at(-1)!.error!.message, "no question");
});

test("what cannot be used is refused", async () => {
  const { dealer } = await dialled();
  assert.throws(() => dealer.send([]), RangeError);
  const { options } = makeRig();
  const open = (identity: Uint8Array) =>
    openDealer({ ...options, endpoint: "tcp://a:1", identity, onMessage: () => {} });
  assert.throws(() => open(new Uint8Array(1)), /first of them not zero/);
  assert.throws(() => open(bytes("x".repeat(256))), /256 bytes/);
  assert.throws(() => openDealer({ ...options, endpoint: "tcp://*:1", onMessage: () => {} }), SyntaxError);
});
