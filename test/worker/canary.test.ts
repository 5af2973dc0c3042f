import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestAborted } from "../../src/engine/context.ts";
import { createLog } from "../../src/observe/log.ts";
import { Canary } from "../../src/worker/canary.ts";
import type { Probe, ProbeResult } from "../../src/worker/canary_probe.ts";
import { FakeClock } from "../support/fake_clock.ts";

const GOOD: ProbeResult = { isHealthy: true };
const bad = (reason: string): ProbeResult => ({ isHealthy: false, reason });

/** A canary on virtual time; `probe` is told the number of the probe. */
function start(probe: (signal: AbortSignal, number: number) => Promise<ProbeResult>, wait = 10, timeout = 3) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const sentAt: number[] = [];
  const signals: AbortSignal[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const counted: Probe = (signal) => {
    sentAt.push(clock.now());
    signals.push(signal);
    return probe(signal, sentAt.length);
  };
  const canary = new Canary({ clock, log, probe: counted, waitSeconds: wait, timeoutSeconds: timeout });
  canary.start();
  const told = (level: string, part: string) => lines.filter((line) => line.includes(level) && line.includes(part));
  return { clock, canary, sentAt, signals, told };
}

const passing = () => Promise.resolve(GOOD);
const hanging = () => new Promise<ProbeResult>(() => {});

/** Ends when its signal aborts, as an engine does that listens. */
function listening(signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(bad("cancelled"))));
}

test("nothing is ready before the first probe passes, which is sent after the idle wait and not before", async () => {
  const { clock, canary, sentAt } = start(passing);
  await clock.advance(9999);
  assert.deepEqual([canary.isReady, canary.reason, sentAt], [false, "no health check has passed yet", []]);
  await clock.advance(1);
  assert.deepEqual([canary.isReady, canary.reason, sentAt], [true, null, [10_000]]);
});

test("with a wait of 2 s it is ready after 2 s, and probed every 2 s while nothing else happens", async () => {
  const { clock, canary, sentAt } = start(passing, 2);
  await clock.advance(2000);
  assert.equal(canary.isReady, true);
  await clock.advance(4000);
  assert.deepEqual(sentAt, [2000, 4000, 6000]);
});

test("a canary that is not started sends nothing and sets no timer", async () => {
  const clock = new FakeClock();
  let sent = 0;
  const probe = () => (sent++, passing());
  const log = createLog({ wallTime: () => 0, write: () => {} });
  const canary = new Canary({ clock, log, probe, waitSeconds: 1, timeoutSeconds: 1 });
  await clock.advance(5000);
  assert.deepEqual([sent, clock.pendingTimers, canary.isReady], [0, 0, false]);
  canary.start();
  canary.start();
  assert.equal(clock.pendingTimers, 1);
});

test("activity puts the next probe off by the whole wait, and costs no timer", async () => {
  const { clock, canary, sentAt } = start(passing);
  await clock.advance(9000);
  canary.active();
  await clock.advance(9999);
  assert.deepEqual(sentAt, []);
  await clock.advance(1);
  assert.deepEqual(sentAt, [19_000]);
  for (let i = 0; i < 600; i++) {
    await clock.advance(100);
    canary.active();
    assert.equal(clock.pendingTimers, 1);
  }
  assert.deepEqual(sentAt, [19_000]);
});

test("activity makes it ready, before any probe and after one that failed", async () => {
  const { clock, canary, told } = start(() => Promise.resolve(bad("error response: broken")));
  canary.active();
  canary.active();
  assert.equal(canary.isReady, true);
  assert.equal(told("INFO", "Endpoint is ready: a request was served").length, 1);
  await clock.advance(10_000);
  assert.deepEqual([canary.isReady, canary.reason], [false, "error response: broken"]);
  canary.active();
  assert.equal(canary.isReady, true);
  await clock.advance(10_000);
  assert.equal(canary.isReady, false);
});

const failures: readonly (readonly [string, () => Promise<ProbeResult>, string])[] = [
  ["says it failed", () => Promise.resolve(bad("no response")), "no response"],
  ["rejects", () => Promise.reject(new Error("lost")), "request failed: Error: lost"],
  [
    "throws",
    () => {
      throw new TypeError("wrong");
    },
    "request failed: TypeError: wrong",
  ],
  ["hangs", hanging, "timeout after 3 s"],
];
for (const [how, probe, reason] of failures) {
  test(`a probe that ${how} makes it not ready with a reason; the next that passes makes it ready again`, async () => {
    const { clock, canary, told } = start((_, number) => number === 2 ? probe() : passing());
    await clock.advance(10_000);
    assert.equal(canary.isReady, true);
    await clock.advance(10_000 + 3000);
    assert.deepEqual([canary.isReady, canary.reason], [false, reason]);
    assert.equal(told("WARN", reason).length, 1);
    await clock.advance(7000);
    assert.equal(canary.isReady, true);
    assert.equal(told("INFO", "Endpoint is ready: a health check passed").length, 2);
  });
}

test("the same failure is told once, another one again", async () => {
  const reasons = ["a", "a", "a", "b", "b"];
  const { clock, told } = start((_, number) => Promise.resolve(bad(`failure ${reasons[number - 1]}`)));
  await clock.advance(50_000);
  assert.equal(told("WARN", "failure a").length, 1);
  assert.equal(told("WARN", "failure b").length, 1);
  assert.equal(told("DEBUG", "failure").length, 3);
});

test("a probe is aborted at its time-out, not before, and what it says later counts for nothing", async () => {
  let answer!: (result: ProbeResult) => void;
  const { clock, canary, signals } = start(() => new Promise((resolve) => answer = resolve));
  await clock.advance(12_999);
  assert.equal(signals[0]!.aborted, false);
  await clock.advance(1);
  assert.ok(signals[0]!.reason instanceof RequestAborted && signals[0]!.reason.reason === "deadline");
  assert.equal(canary.reason, "timeout after 3 s");
  answer(GOOD);
  await clock.settle();
  assert.equal(canary.reason, "timeout after 3 s");
});

test("a probe that ends in time is not aborted, and its timer is gone", async () => {
  const { clock, signals } = start(passing);
  await clock.advance(10_000);
  assert.equal(clock.pendingTimers, 1, "the next wait");
  await clock.advance(9000);
  assert.equal(signals[0]!.aborted, false);
});

test("probes never overlap, though each takes longer than the wait", async () => {
  let running = 0;
  let most = 0;
  const state = start(async (signal) => {
    most = Math.max(most, ++running);
    await listening(signal);
    running--;
    return GOOD;
  }, 1);
  await state.clock.advance(13_000);
  assert.deepEqual(state.sentAt, [1000, 4000, 7000, 10_000, 13_000]);
  assert.equal(most, 1);
});

test("an engine that keeps hanging probes gets three, until a served request shows that it lives", async () => {
  const { clock, canary, sentAt } = start(hanging);
  await clock.advance(100_000);
  assert.deepEqual(sentAt, [10_000, 20_000, 30_000]);
  assert.equal(canary.reason, "3 health checks hang in the engine");
  canary.active();
  await clock.advance(10_000);
  assert.deepEqual(sentAt, [10_000, 20_000, 30_000, 110_000]);
});

test("an engine that lets go of late probes is asked on and on", async () => {
  const { clock, canary, sentAt } = start(listening);
  await clock.advance(103_000);
  assert.equal(sentAt.length, 10);
  assert.equal(canary.reason, "timeout after 3 s");
});

test("a probe that fails while requests are served says nothing against the engine", async () => {
  const { clock, canary, sentAt } = start(hanging);
  await clock.advance(11_000);
  canary.active();
  await clock.advance(2000);
  assert.deepEqual([canary.isReady, sentAt], [true, [10_000]]);
  await clock.advance(8000 + 3000);
  assert.deepEqual([canary.isReady, sentAt], [false, [10_000, 21_000]]);
});

test("stop() while it waits leaves no timer and sends nothing more", async () => {
  const { clock, canary, sentAt } = start(passing);
  await clock.advance(15_000);
  await canary.stop();
  assert.equal(clock.pendingTimers, 0);
  await clock.advance(60_000);
  assert.deepEqual(sentAt, [10_000]);
  canary.resume();
  canary.start();
  assert.equal(clock.pendingTimers, 0);
});

test("stop() during a probe aborts it and waits until the engine has let go", async () => {
  let letGo!: () => void;
  const state = start(async (signal) => {
    await listening(signal);
    await new Promise<void>((resolve) => letGo = resolve);
    return GOOD;
  });
  await state.clock.advance(10_000);
  let isOver = false;
  state.canary.stop().then(() => isOver = true);
  const { reason } = state.signals[0]!;
  assert.ok(reason instanceof RequestAborted && reason.reason === "drain");
  await state.clock.advance(1500);
  assert.equal(isOver, false);
  letGo();
  await state.clock.settle();
  assert.deepEqual([isOver, state.canary.isReady, state.clock.pendingTimers], [true, false, 0]);
});

test("stop() detaches a probe that goes on after 2 s, with a warning, also one that hung before", async () => {
  for (const ms of [10_000, 15_000]) {
    const { clock, canary, told } = start(hanging);
    await clock.advance(ms);
    let isOver = false;
    canary.stop().then(() => isOver = true);
    await clock.advance(1999);
    assert.equal(isOver, false);
    await clock.advance(1);
    assert.deepEqual([isOver, clock.pendingTimers], [true, 0]);
    assert.equal(told("WARN", "detached").length, 1);
    let again = false;
    canary.stop().then(() => again = true);
    await clock.settle();
    assert.equal(again, true, "a second call does not wait again");
  }
});

test("pause() aborts a probe without a verdict and sends no more; resume() is ready and waits anew", async () => {
  const { clock, canary, sentAt, signals } = start((signal, number) => number === 2 ? listening(signal) : passing());
  await clock.advance(20_000);
  canary.pause();
  await clock.settle();
  assert.deepEqual([signals[1]!.aborted, canary.isReady, clock.pendingTimers], [true, true, 0]);
  await clock.advance(60_000);
  assert.deepEqual(sentAt, [10_000, 20_000]);
  canary.resume();
  canary.resume();
  await clock.advance(9999);
  assert.deepEqual([sentAt.length, clock.pendingTimers], [2, 1]);
  await clock.advance(1);
  assert.deepEqual(sentAt, [10_000, 20_000, 90_000]);
});

test("resume() makes an engine that failed before its sleep ready, like any that wakes up", async () => {
  const { clock, canary } = start(() => Promise.resolve(bad("no response")));
  await clock.advance(10_000);
  canary.pause();
  assert.equal(canary.isReady, false);
  canary.resume();
  assert.equal(canary.isReady, true);
});

test("a process that was stopped for a while sends one probe, not all it missed", async () => {
  const { clock, sentAt } = start(passing);
  await clock.pause(95_000);
  await clock.advance(0);
  assert.deepEqual(sentAt, [95_000]);
});

test("a wait of 0 is 0.1 s, and one beyond the longest timer is kept to", async () => {
  const eager = start(passing, 0);
  await eager.clock.advance(1000);
  assert.equal(eager.sentAt.length, 10);
  const days = 30 * 86_400;
  const patient = start(passing, days);
  await patient.clock.advance(1000 * days - 1);
  assert.deepEqual(patient.sentAt, []);
  await patient.clock.advance(1);
  assert.deepEqual(patient.sentAt, [1000 * days]);
});
