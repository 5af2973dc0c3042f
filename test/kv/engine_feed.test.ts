import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineFeed } from "../../src/kv/engine_feed.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A feed whose batches are a letter each, and what came of it, in order. */
function rig(canAsk = true) {
  const clock = new FakeClock();
  const seen: string[] = [];
  const feed = new EngineFeed({
    clock,
    take: ([letter]) => seen.push(String.fromCharCode(letter!)),
    restarted: () => seen.push("restart"),
    lost: (batches) => seen.push(`lost ${batches}`),
    ask: canAsk ? (from) => seen.push(`ask ${from}`) : null,
    setReading: (reading) => seen.push(reading ? "resume" : "pause"),
  });
  const message = (sequence: number, letter: string) => ({
    sequence: BigInt(sequence),
    batch: Uint8Array.of(letter.charCodeAt(0)),
  });
  return {
    ...{ clock, feed },
    live: (sequence: number, letter: string) => {
      const sent = message(sequence, letter);
      feed.live(sent);
      sent.batch.fill(63); // a socket's buffer
    },
    replay: (sequence: number, letter: string) => feed.replayed(message(sequence, letter)),
    end: () => feed.replayed(null),
    take: () => seen.splice(0),
  };
}

test("without a replay socket a feed begins anywhere, counts what is lost and goes on", () => {
  const { live, feed, take } = rig(false);
  live(7, "a");
  live(8, "b");
  live(11, "c");
  feed.canReplay();
  feed.replayed(null);
  assert.deepEqual(take(), ["a", "b", "lost 2", "c"]);
});

test("an engine that counts from the beginning has begun anew; what it said since then is asked for", () => {
  const { live, replay, end, take, clock } = rig();
  live(0, "a");
  live(1, "b");
  live(0, "c");
  assert.deepEqual(take(), ["a", "b", "restart", "c"]);
  live(1, "d");
  live(1, "f");
  assert.deepEqual(take(), ["d", "restart", "ask 0"]);
  replay(0, "e");
  end();
  assert.deepEqual([take(), clock.pendingTimers], [["e", "f"], 0]);
});

test("a gap is filled before what came after it, and both sockets may tell the same", () => {
  const { live, replay, end, take } = rig();
  live(0, "a");
  live(3, "d");
  live(4, "e");
  assert.deepEqual(take(), ["a", "ask 1"]);
  replay(1, "b");
  replay(2, "c");
  replay(3, "d");
  end();
  live(5, "f");
  assert.deepEqual(take(), ["b", "c", "d", "e", "f"]);
});

test("what came before us is asked for: at once if the engine is quiet, else with its first message", () => {
  const quiet = rig();
  quiet.feed.canReplay();
  quiet.live(2, "c");
  quiet.replay(1, "b");
  quiet.end();
  // The engine does not keep everything; what it dropped long ago is no loss of ours.
  assert.deepEqual(quiet.take(), ["ask 0", "b", "c"]);
  const busy = rig();
  busy.live(2, "c");
  busy.replay(0, "a");
  busy.replay(1, "b");
  busy.end();
  assert.deepEqual(busy.take(), ["ask 0", "a", "b", "c"]);
});

test("an engine that keeps nothing is left alone", () => {
  const { feed, live, end, take } = rig();
  feed.canReplay();
  end();
  live(0, "a");
  feed.canReplay();
  assert.deepEqual(take(), ["ask 0", "a"]);
});

test("what a replay does not bring is lost, also within what was held", () => {
  const { live, replay, end, take } = rig();
  live(0, "a");
  live(4, "e");
  live(6, "g");
  replay(2, "c");
  end();
  assert.deepEqual(take(), ["a", "ask 1", "lost 1", "c", "lost 1", "e", "lost 1", "g"]);
});

test("a replay that falls silent is given up after five seconds, one that goes on is not", async () => {
  const { live, replay, take, clock } = rig();
  live(0, "a");
  live(3, "d");
  await clock.advance(4000);
  replay(1, "b");
  await clock.advance(5000);
  assert.deepEqual(take(), ["a", "ask 1", "b"]);
  await clock.advance(5000);
  assert.deepEqual([take(), clock.pendingTimers], [["lost 1", "d"], 0]);
  replay(2, "c");
  assert.deepEqual(take(), []);
});

test("a lost replay connection asks again for what is still missing", () => {
  const { live, replay, end, feed, take } = rig();
  live(0, "a");
  live(3, "d");
  replay(1, "b");
  feed.canReplay();
  replay(1, "b");
  replay(2, "c");
  end();
  assert.deepEqual(take(), ["a", "ask 1", "b", "ask 2", "c", "d"]);
});

test("what waits for a replay is bounded: the engine has to wait then", () => {
  const { live, end, take } = rig();
  live(0, "a");
  for (let i = 2; i < 2 + 1023; i++) live(i, "x");
  assert.deepEqual(take(), ["a", "ask 1"]);
  live(1025, "y");
  live(1026, "z"); // was under way
  assert.deepEqual(take(), ["pause"]);
  end();
  assert.deepEqual(take(), ["resume", "lost 1", ...new Array(1023).fill("x"), "y", "z"]);
});

test("bytes are bounded, too", () => {
  const { feed, take } = rig();
  feed.live({ sequence: 1n, batch: new Uint8Array(16 * 1024 * 1024) });
  assert.deepEqual(take(), ["ask 0", "pause"]);
});

test("a restart while a replay is under way drops what was held", () => {
  const { live, replay, end, take } = rig();
  live(4, "a");
  live(5, "b");
  live(0, "c");
  replay(0, "x");
  end();
  assert.deepEqual(take(), ["ask 0", "restart", "c"]);
});

test("a closed feed waits for nothing", () => {
  const { feed, live, clock, end, take } = rig();
  live(3, "d");
  feed.close();
  end();
  assert.deepEqual([take(), clock.pendingTimers], [["ask 0"], 0]);
});
