import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { VirtualClock } from "../../src/testing/virtual_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

const HOUR = 3_600_000;

test("VirtualClock skips waits, so that hours pass at once and in order", async () => {
  using clock = new VirtualClock(realPlatform.clock);
  const time = createEngineClock(clock);
  const begin = time.now();
  const realBegin = realPlatform.clock.now();
  const woken: string[] = [];
  const sleep = async (name: string, hours: number) => {
    await time.sleepUntil(begin + hours * HOUR);
    woken.push(`${name} ${Math.floor((time.now() - begin) / HOUR)}`);
  };
  const twice = sleep("a", 1).then(() => sleep("a", 3));
  await Promise.all([twice, sleep("b", 2), sleep("c", 4)]);
  assert.deepEqual(woken, ["a 1", "b 2", "a 3", "c 4"]);
  assert.ok(realPlatform.clock.now() - realBegin < 5000);
});

test("VirtualClock never shows less than the time a timer was due at, nor goes back", async () => {
  using clock = new VirtualClock(realPlatform.clock);
  const time = createEngineClock(clock);
  let last = time.now();
  for (let i = 0; i < 200; i++) {
    const target = time.now() + 0.1 + i / 3;
    await time.sleepUntil(target);
    assert.ok(time.now() >= target && time.now() >= last);
    last = time.now();
  }
});

test("VirtualClock lets everything that is ready run before it skips", async () => {
  const clock = new VirtualClock(new FakeClock());
  const time = createEngineClock(clock);
  const seen: string[] = [];
  const sleeping = time.sleepUntil(10).then(() => seen.push(`slept ${time.now()}`));
  const chain = (async () => {
    for (let i = 0; i < 100; i++) await null;
    seen.push(`chain ${time.now()}`);
  })();
  await Promise.all([sleeping, chain]);
  assert.deepEqual(seen, ["chain 0", "slept 10"]);
});

test("VirtualClock gives streams that spin by nextTurn() no say in when others wake", async () => {
  const clock = new VirtualClock(new FakeClock());
  const time = createEngineClock(clock);
  let isAwake = false;
  const sleeping = time.sleepUntil(1000).then(() => isAwake = true);
  let turns = 0;
  while (!isAwake && turns < 100) {
    await time.nextTurn();
    turns++;
  }
  await sleeping;
  assert.ok(turns < 100);
});

test("VirtualClock wakes a sleeper whose signal aborts, without skipping for it", async () => {
  const clock = new VirtualClock(new FakeClock());
  const time = createEngineClock(clock);
  const control = new AbortController();
  const sleeping = time.sleepUntil(HOUR, control.signal);
  control.abort();
  await sleeping;
  await time.nextTurn();
  await time.nextTurn();
  await time.nextTurn();
  assert.equal(time.now(), 0);
});

test("deadline() is not skipped to, but met when time is skipped past it", async () => {
  const inner = new FakeClock();
  const clock = new VirtualClock(inner);
  const fired: string[] = [];
  clock.deadline(2000, () => fired.push(`deadline ${clock.now()}`));
  await inner.settle();
  assert.equal(fired.length, 0);
  clock.timer(1000, () => fired.push(`timer ${clock.now()}`));
  clock.timer(HOUR, () => fired.push(`timer ${clock.now()}`));
  for (let i = 0; i < 5; i++) await inner.settle();
  assert.deepEqual(fired, ["timer 1000", "deadline 2000", `timer ${HOUR}`]);
  assert.equal(inner.pendingTimers, 0);
});

test("deadline() fires when that much time has really passed, unless disposed before", async () => {
  const inner = new FakeClock();
  const clock = new VirtualClock(inner);
  let fired = 0;
  clock.deadline(2000, () => fired++);
  clock.deadline(2000, () => assert.fail("it was disposed"))[Symbol.dispose]();
  await inner.advance(1999);
  assert.equal(fired, 0);
  await inner.advance(1);
  assert.equal(fired, 1);
});

test("disposing VirtualClock drops its timers and leaves none behind", async () => {
  const inner = new FakeClock();
  const clock = new VirtualClock(inner);
  const fail = () => assert.fail("it was disposed");
  clock.timer(1, fail);
  clock.deadline(1, fail);
  clock[Symbol.dispose]();
  clock.timer(1, fail);
  clock.deadline(1, fail);
  assert.equal(inner.pendingTimers, 0);
  await inner.advance(10);
});

test("wallTime() moves along with now()", async () => {
  const inner = new FakeClock(5000);
  const clock = new VirtualClock(inner);
  await createEngineClock(clock).sleepUntil(HOUR);
  assert.equal(clock.wallTime(), 5000 + HOUR);
});
