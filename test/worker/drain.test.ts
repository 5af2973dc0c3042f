import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import type { WorkerType } from "../../src/protocol/model_card.ts";
import { drainEngine } from "../../src/worker/drain.ts";
import { FakeClock } from "../support/fake_clock.ts";

function start(role: WorkerType, hooks: Partial<Engine>, prefillDrainTimeoutSeconds = 30) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const control = new AbortController();
  const state = { isOver: false, lines, clock, control };
  const engine = { start: () => Promise.reject(), generate: () => null!, cleanup() {}, ...hooks } as Engine;
  drainEngine(engine, role, control.signal, { clock, log, prefillDrainTimeoutSeconds }).then(() => state.isOver = true);
  return state;
}

for (const role of ["aggregated", "decode", "encode", "prefill"] as const) {
  test(`drain() is called once for ${role}, with a signal; isQuiescent() is asked of prefill only`, async () => {
    let asked = 0;
    const signals: AbortSignal[] = [];
    const state = start(role, { drain: (signal) => void signals.push(signal), isQuiescent: () => (asked++, true) });
    await state.clock.settle();
    assert.ok(state.isOver);
    assert.deepEqual(signals, [state.control.signal]);
    assert.equal(asked, role === "prefill" ? 1 : 0);
  });
}

test("an engine without hooks is drained at once", async () => {
  const state = start("prefill", {});
  await state.clock.settle();
  assert.ok(state.isOver);
});

test("a prefill engine is asked every 500 ms until it says true; false, null and a throw are no", async () => {
  const answers = [false, null, new Error("busy"), Promise.resolve(false), Promise.resolve(true)];
  const times: number[] = [];
  const state = start("prefill", {
    isQuiescent: () => {
      times.push(state.clock.now());
      const answer = answers[times.length - 1]!;
      if (answer instanceof Error) throw answer;
      return answer as boolean;
    },
  });
  await state.clock.advance(1999);
  assert.equal(state.isOver, false);
  await state.clock.advance(1);
  assert.ok(state.isOver);
  assert.deepEqual(times, [0, 500, 1000, 1500, 2000]);
  assert.equal(state.clock.pendingTimers, 0);
});

test("drain() comes before the first question", async () => {
  const order: string[] = [];
  const state = start("prefill", {
    drain: async () => {
      await Promise.resolve();
      await new Promise<void>((resolve) => state.clock.timer(100, resolve));
      order.push("drained");
    },
    isQuiescent: () => (order.push("asked"), true),
  });
  await state.clock.advance(100);
  assert.deepEqual(order, ["drained", "asked"]);
});

test("a prefill engine that is never quiescent is left, with a warning, when its time is up; negative is 0", async () => {
  for (const [seconds, ms] of [[2, 2000], [-1, 0]] as const) {
    const state = start("prefill", { isQuiescent: () => false }, seconds);
    await state.clock.advance(Math.max(0, ms - 1));
    if (ms > 0) assert.equal(state.isOver, false);
    await state.clock.advance(1);
    assert.ok(state.isOver);
    assert.ok(state.lines.some((line) => line.includes("WARN") && line.includes("timed out")));
  }
});

test("the signal ends the questions at once and leaves no timer", async () => {
  const state = start("prefill", { isQuiescent: () => null });
  await state.clock.advance(700);
  state.control.abort();
  await state.clock.settle();
  assert.ok(state.isOver);
  assert.equal(state.clock.pendingTimers, 0);
});
