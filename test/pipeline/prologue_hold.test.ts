import assert from "node:assert/strict";
import { test } from "node:test";
import { PrologueHold } from "../../src/pipeline/prologue_hold.ts";
import { FakeClock } from "../support/fake_clock.ts";

const never = new Promise<string>(() => {});

test("wait() gives the first item when it comes within 50 ms, and leaves no timer", async () => {
  const clock = new FakeClock();
  const hold = new PrologueHold(clock);
  const { promise, resolve } = Promise.withResolvers<string>();
  const waiting = hold.wait(promise);
  await clock.advance(49);
  resolve("first");
  assert.equal(await waiting, "first");
  assert.equal(clock.pendingTimers, 0);
});

test("wait() gives up after 50 ms", async () => {
  const clock = new FakeClock();
  let outcome: string | null | undefined;
  new PrologueHold(clock).wait(never).then((value) => outcome = value);
  await clock.advance(49);
  assert.equal(outcome, undefined);
  await clock.advance(1);
  assert.equal(outcome, null);
});

test("wait() gives an awaited request no more than what is ready at once", async () => {
  const clock = new FakeClock();
  const hold = new PrologueHold(clock);
  assert.equal(await hold.wait(Promise.resolve("first"), true), "first");
  const waiting = hold.wait(never, true);
  await clock.advance(0);
  assert.equal(await waiting, null);
});

test("release() lets every held prologue go, and later ones are not held", async () => {
  const clock = new FakeClock();
  const hold = new PrologueHold(clock);
  const waiting = [hold.wait(never), hold.wait(never)];
  hold.release();
  assert.deepEqual(await Promise.all(waiting), [null, null]);
  assert.equal(await hold.wait(never), null);
  assert.equal(clock.pendingTimers, 0);
});

test("wait() passes a failure of the first item on", async () => {
  const clock = new FakeClock();
  await assert.rejects(new PrologueHold(clock).wait(Promise.reject(new Error("no"))), { message: "no" });
  assert.equal(clock.pendingTimers, 0);
});
