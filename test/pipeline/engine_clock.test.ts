import assert from "node:assert/strict";
import { test } from "node:test";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

test("sleepUntil() aims at an absolute time and is there at once if it has passed", async () => {
  const clock = new FakeClock();
  const time = createEngineClock(clock);
  await clock.advance(10);
  await time.sleepUntil(10);
  await time.sleepUntil(3);
  assert.equal(clock.pendingTimers, 0);
  let isAwake = false;
  time.sleepUntil(25).then(() => isAwake = true);
  await clock.advance(14);
  assert.equal(isAwake, false);
  await clock.advance(1);
  assert.equal(isAwake, true);
  assert.equal(time.now(), 25);
});

test("sleepUntil() ends when the signal aborts, without rejecting, and leaves no timer", async () => {
  const clock = new FakeClock();
  const time = createEngineClock(clock);
  const control = new AbortController();
  const { signal } = control;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  const first = time.sleepUntil(5, signal);
  await clock.advance(5);
  await first;
  const second = time.sleepUntil(1000, signal);
  control.abort(new Error("enough"));
  await second;
  assert.equal(clock.pendingTimers, 0);
  assert.equal(listeners, 1, "one listener serves all sleeps of a request");
  await time.sleepUntil(1000, signal);
  assert.equal(clock.pendingTimers, 0);
});

test("all workers of a process share one clock", () => {
  const clock = new FakeClock();
  assert.equal(createEngineClock(clock), createEngineClock(clock));
  assert.notEqual(createEngineClock(clock), createEngineClock(new FakeClock()));
});

test("a thousand sleepers share one timer, and wake in the order of their times", async () => {
  const clock = new FakeClock();
  const time = createEngineClock(clock);
  const woken: number[] = [];
  for (let i = 0; i < 1000; i++) time.sleepUntil(1000 - (i % 10), undefined).then(() => woken.push(1000 - (i % 10)));
  assert.equal(clock.pendingTimers, 1);
  await clock.advance(1000);
  assert.equal(woken.length, 1000);
  assert.deepEqual(woken, woken.toSorted((a, b) => a - b));
  assert.equal(clock.pendingTimers, 0);
});

test("an earlier sleeper is woken in time though a later one came first", async () => {
  const clock = new FakeClock();
  const time = createEngineClock(clock);
  const woken: string[] = [];
  time.sleepUntil(100).then(() => woken.push("late"));
  time.sleepUntil(10).then(() => woken.push("early"));
  await clock.advance(10);
  assert.deepEqual(woken, ["early"]);
  await clock.advance(90);
  assert.deepEqual(woken, ["early", "late"]);
});

test("nextTurn() is one turn of the clock for all that wait", async () => {
  const turns: (() => void)[] = [];
  const clock = Object.assign(new FakeClock(), { endOfTurn: (run: () => void) => void turns.push(run) });
  const time = createEngineClock(clock);
  let woken = 0;
  for (let i = 0; i < 3; i++) time.nextTurn().then(() => woken++);
  assert.equal(turns.length, 1);
  await Promise.resolve();
  assert.equal(woken, 0);
  turns.shift()!();
  await Promise.resolve();
  assert.equal(woken, 3);
  time.nextTurn();
  assert.equal(turns.length, 1);
});
