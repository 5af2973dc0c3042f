import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage } from "../../src/zmtp/frame.ts";
import { openRouter, type RouterOptions, type RouterPeer } from "../../src/zmtp/router.ts";
import { bytes, greet, makeRig, readFrames, text } from "../support/zmtp_peer.ts";

async function bound(options: Partial<RouterOptions> = {}) {
  const rig = makeRig();
  const got: string[] = [];
  const peers: RouterPeer[] = [];
  const onMessage = (peer: RouterPeer, parts: readonly Uint8Array[]) => {
    peers.push(peer);
    got.push(parts.map(text).join("|"));
  };
  const router = openRouter({ ...rig.options, onMessage, ...options });
  await router.bind("tcp://127.0.0.1:7");
  return { ...rig, router, got, peers };
}

test("each peer gets the answers to its own questions", async () => {
  const { clock, net, got, peers } = await bound();
  const [one, two] = [net.accept(), net.accept()];
  for (const conn of [one, two]) await greet(clock, conn, "DEALER");
  for (const conn of [one, two]) conn.take();
  two.say(encodeMessage([bytes(""), bytes("from 2")]));
  one.say(encodeMessage([bytes(""), bytes("from 1")]));
  assert.deepEqual(got, ["|from 2", "|from 1"]);
  assert.equal(peers[1]!.send([bytes(""), bytes("to 1")]), true);
  await clock.settle();
  assert.deepEqual([readFrames(one.take()), readFrames(two.take())], [["+", "to 1"], []]);
  one.hangUp();
  await clock.settle();
  assert.equal(peers[1]!.send([bytes("x")]), false);
  assert.throws(() => peers[0]!.send([]), RangeError);
});

test("a peer that does not read is sent no more than the mark", async () => {
  const { clock, net, peers } = await bound({ highWaterMark: { messages: 3 } });
  const conn = net.accept();
  await greet(clock, conn, "REQ");
  conn.say(encodeMessage([bytes("")]));
  conn.reads = false;
  const taken: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    taken.push(peers[0]!.send([bytes("x")]));
    await clock.settle();
  }
  assert.deepEqual(taken, [true, true, true, true, false, false]);
});

test("a handler that throws closes the connection, and a peer of another kind is refused", async () => {
  const { clock, net, events } = await bound({
    onMessage: () => {
      throw new Error("no question");
    },
  });
  const [asking, publishing] = [net.accept(), net.accept()];
  await greet(clock, asking, "DEALER");
  asking.say(encodeMessage([bytes("x")]));
  await greet(clock, publishing, "PUB");
  await clock.settle();
  assert.deepEqual([asking.isClosed, publishing.isEnded], [true, true]);
  publishing.hangUp();
  await clock.settle();
  const errors = events.flatMap(({ error }) => error === undefined ? [] : [error.message]);
  assert.deepEqual(errors, [
    "no question",
    "This is a ROUTER socket, which talks to DEALER, REQ, ROUTER; the peer is PUB",
  ]);
});
