import assert from "node:assert/strict";
import { test } from "node:test";
import { realPlatform } from "../../../src/platform/real.ts";
import { PartyClock } from "../../../src/testing/simulation/party_clock.ts";
import { SeededRandom } from "../../../src/testing/simulation/seeded_random.ts";
import { Timeline } from "../../../src/testing/simulation/timeline.ts";

const run = (timeline: Timeline, limitMs = Infinity, isOver = () => false) =>
  timeline.run(realPlatform.clock, isOver, limitMs);

test("things happen in the order of their times, then in the order in which they were planned", async () => {
  const timeline = new Timeline();
  const seen: string[] = [];
  for (const [at, name] of [[20, "c"], [10, "a"], [30, "d"], [10, "b"]] as const) {
    timeline.after(at, () => seen.push(`${name} ${timeline.now}`), "test");
  }
  assert.equal(timeline.pendingOf("test"), 4);
  assert.equal(await run(timeline), false);
  assert.deepEqual(seen, ["a 10", "b 10", "c 20", "d 30"]);
  assert.equal(timeline.pendingOf("test"), 0);
});

test("what is disposed does not happen, and is not pending", async () => {
  const timeline = new Timeline();
  const entry = timeline.after(1, () => assert.fail("it happened"), "test");
  entry[Symbol.dispose]();
  entry[Symbol.dispose]();
  assert.equal(timeline.pendingOf("test"), 0);
  await run(timeline);
  assert.equal(timeline.now, 0);
});

test("all promises settle before time goes on", async () => {
  const timeline = new Timeline();
  const seen: string[] = [];
  timeline.after(1, async () => {
    for (let i = 0; i < 1000; i++) await Promise.resolve();
    seen.push(`settled at ${timeline.now}`);
  }, "test");
  timeline.after(2, () => seen.push("next"), "test");
  await run(timeline);
  assert.deepEqual(seen, ["settled at 1", "next"]);
});

test("it stops at the limit, or when asked to, and goes on from there", async () => {
  const timeline = new Timeline();
  const seen: number[] = [];
  for (const at of [1, 2, 3]) timeline.after(at, () => seen.push(at), "test");
  assert.equal(await run(timeline, 2.5), false);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(await run(timeline, Infinity, () => seen.length === 3), true);
});

test("what throws ends the run", async () => {
  const timeline = new Timeline();
  timeline.after(1, () => {
    throw new Error("planned");
  }, "test");
  await assert.rejects(run(timeline), { message: "planned" });
});

test("a party's turn comes after what is ready, takes time, and takes later turns along", async () => {
  const timeline = new Timeline();
  const clock = new PartyClock(timeline, new SeededRandom(1), "party");
  const seen: string[] = [];
  const turn = () => seen.push(clock.isBusy ? "busy turn" : "turn");
  clock.endOfTurn(() => {
    turn();
    clock.endOfTurn(() => {
      turn();
      clock.endOfTurn(turn);
    });
  });
  clock.laterTurn(() => seen.push("later"), 1000);
  Promise.resolve().then(() => seen.push("ready"));
  await run(timeline);
  assert.deepEqual(seen, ["ready", "turn", "later", "turn", "busy turn"]);
  assert.ok(timeline.now > 0 && timeline.now < 1, `${timeline.now}`);
});

test("without a turn, a later one comes in time", async () => {
  const timeline = new Timeline();
  const clock = new PartyClock(timeline, new SeededRandom(1), "party");
  let at = 0;
  clock.laterTurn(() => at = clock.now(), 5);
  await run(timeline);
  assert.ok(at >= 5 && at < 6, `${at}`);
});

test("timers come late, never early", async () => {
  const timeline = new Timeline();
  const clock = new PartyClock(timeline, new SeededRandom(1), "party");
  const late: number[] = [];
  for (let i = 0; i < 100; i++) clock.timer(i, () => late.push(clock.now() - i));
  await run(timeline);
  assert.equal(late.length, 100);
  assert.ok(late.every((ms) => ms >= 0 && ms < 0.5));
});
