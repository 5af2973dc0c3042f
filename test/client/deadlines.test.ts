import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadlines } from "../../src/client/deadlines.ts";
import type { Clock } from "../../src/platform/platform.ts";

/** A clock that stands still until told. */
function handClock(): Clock & { advance(ms: number): void; readonly timers: number } {
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly fire: () => void }>();
  return {
    now: () => now,
    wallTime: () => now,
    timer(delayMs, fire) {
      const timer = { at: now + delayMs, fire };
      timers.add(timer);
      return { [Symbol.dispose]: () => void timers.delete(timer) };
    },
    isBusy: false,
    laterTurn: (run: () => void) => run(),
    endOfTurn: (run) => run(),
    advance(ms) {
      now += ms;
      for (const timer of [...timers]) {
        if (timer.at > now) continue;
        timers.delete(timer);
        timer.fire();
      }
    },
    get timers() {
      return timers.size;
    },
  };
}

test("add() expires each wait once, in order, on one timer", () => {
  const clock = handClock();
  const deadlines = new Deadlines(clock, 100);
  const expired: string[] = [];
  deadlines.add(() => expired.push("a"));
  clock.advance(40);
  deadlines.add(() => expired.push("b"));
  assert.equal(clock.timers, 1);
  clock.advance(60);
  assert.deepEqual(expired, ["a"]);
  assert.equal(clock.timers, 1);
  clock.advance(40);
  assert.deepEqual(expired, ["a", "b"]);
  assert.equal(clock.timers, 0);
});

test("a wait that is disposed does not expire, and no timer is left without waits", () => {
  const clock = handClock();
  const deadlines = new Deadlines(clock, 100);
  const first = deadlines.add(() => assert.fail("first"));
  const second = deadlines.add(() => assert.fail("second"));
  first[Symbol.dispose]();
  assert.equal(clock.timers, 1);
  second[Symbol.dispose]();
  assert.equal(clock.timers, 0);
  clock.advance(200);
});

test("a wait added while another expires has its full time", () => {
  const clock = handClock();
  const deadlines = new Deadlines(clock, 100);
  let expired = 0;
  deadlines.add(() => deadlines.add(() => expired++));
  clock.advance(100);
  assert.equal(expired, 0);
  clock.advance(99.5);
  clock.advance(0.5);
  assert.equal(expired, 1);
});

test("disposing ends all waits", () => {
  const clock = handClock();
  const deadlines = new Deadlines(clock, 100);
  deadlines.add(() => assert.fail("expired"));
  deadlines[Symbol.dispose]();
  assert.equal(clock.timers, 0);
  clock.advance(200);
});
