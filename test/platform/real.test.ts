import assert from "node:assert/strict";
import { test } from "node:test";
import { delay } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { FakeClock } from "../support/fake_clock.ts";

const { clock, random } = realPlatform;

test("now() only grows, wallTime() is the time of day with fractions", () => {
  let last = clock.now();
  for (let i = 0; i < 1000; i++) {
    const now = clock.now();
    assert.ok(now >= last);
    last = now;
  }
  assert.ok(Math.abs(clock.wallTime() - Date.now()) < 1000);
});

test("timer() fires once, at once for a time that has passed, and not when disposed", async () => {
  let fired = 0;
  clock.timer(1, () => fired++);
  clock.timer(-5, () => fired++);
  clock.timer(1, () => fired++)[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(fired, 2);
});

test("endOfTurn() runs after all promises that are ready, in the order of the calls", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    clock.endOfTurn(() => order.push("first"));
    clock.endOfTurn(() => {
      order.push("second");
      clock.endOfTurn(() => {
        order.push("next turn");
        resolve();
      });
    });
    (async () => {
      for (let i = 0; i < 50; i++) await Promise.resolve();
      order.push("promises");
    })();
  });
  assert.deepEqual(order, ["promises", "first", "second", "next turn"]);
});

test("endOfTurn() goes on for long without keeping timers and sockets out", async () => {
  let turns = 0;
  let isOver = false;
  const spin = () => {
    turns++;
    if (!isOver) clock.endOfTurn(spin);
  };
  spin();
  await new Promise((resolve) => setTimeout(resolve, 30));
  isOver = true;
  assert.ok(turns > 10, `${turns}`);
});

test("random numbers have their ranges and differ", () => {
  const numbers = Array.from({ length: 100 }, () => random.number());
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  const ids = Array.from({ length: 100 }, () => random.u64());
  assert.ok(ids.every((id) => id >= 0n && id < 2n ** 64n));
  assert.equal(new Set(ids).size, 100);
  assert.match(random.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("a port in use rejects, and disposing an HTTP server frees it", async () => {
  const { http } = realPlatform;
  const server = await http.serve({ host: "127.0.0.1", port: 0 }, () => new Response("here"));
  const url = `http://127.0.0.1:${server.address.port}/`;
  assert.equal(await (await fetch(url)).text(), "here");
  await assert.rejects(http.serve(server.address, () => new Response()));
  await server[Symbol.asyncDispose]();
  await assert.rejects(fetch(url));
});

test("a handler that throws answers 500 without its text", async () => {
  const server = await realPlatform.http.serve({ host: "127.0.0.1", port: 0 }, () => {
    throw new Error("secret");
  });
  const response = await fetch(`http://127.0.0.1:${server.address.port}/`);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
  await server[Symbol.asyncDispose]();
});

test("delay() resolves in time, at once when nothing is to wait for, early when its signal aborts", async () => {
  const fake = new FakeClock();
  await delay(fake, 0);
  await delay(fake, 10, AbortSignal.abort());
  assert.equal(fake.pendingTimers, 0);
  let isOver = false;
  delay(fake, 10).then(() => isOver = true);
  await fake.advance(9);
  assert.equal(isOver, false);
  await fake.advance(1);
  assert.equal(isOver, true);
  const control = new AbortController();
  const waiting = delay(fake, Infinity, control.signal);
  control.abort();
  await waiting;
  assert.equal(fake.pendingTimers, 0);
});
