import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log } from "../../src/observe/log.ts";
import { ShutdownBudget, type ShutdownStage } from "../../src/worker/shutdown.ts";
import { FakeClock } from "../support/fake_clock.ts";

function budgetOf(timeoutSeconds: number, graceSeconds = 0) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const line = (message: string) => void lines.push(message);
  const log: Log = { debug: line, info: line, warn: line, error: line };
  return { clock, lines, budget: new ShutdownBudget({ clock, log, timeoutSeconds, graceSeconds }) };
}

/** Runs a stage that never ends and tells after how long it was cut. */
async function cutAfter(
  { clock, budget }: { clock: FakeClock; budget: ShutdownBudget },
  stage: ShutdownStage,
  steps: number,
): Promise<number | null> {
  const startedAt = clock.now();
  let cutAt: number | null = null;
  budget.run(stage, () => new Promise(() => {})).then(() => cutAt = clock.now());
  for (let i = 0; i < steps && cutAt === null; i++) await clock.advance(10);
  return cutAt === null ? null : cutAt - startedAt;
}

for (const stage of ["start", "in_flight", "drain"] as const) {
  test(`run() cuts ${stage} at the deadline less a reserve of 5 s`, async () => {
    assert.equal(await cutAfter(budgetOf(30), stage, 4000), 25_000);
  });

  test(`run() reserves at most a third of a short time from ${stage}`, async () => {
    assert.equal(await cutAfter(budgetOf(3), stage, 400), 2000);
    assert.equal(await cutAfter(budgetOf(6), stage, 700), 4000);
  });
}

test("run() counts grace into the deadline, and time from begin()", async () => {
  const parts = budgetOf(30, 10);
  parts.budget.begin();
  await parts.clock.advance(12_000);
  assert.equal(await cutAfter(parts, "in_flight", 4000), 23_000);
});

test("in_flight and drain share the time to the reserve; cleanup has nearly all that is left", async () => {
  const parts = budgetOf(30);
  parts.budget.begin();
  assert.equal(await cutAfter(parts, "in_flight", 4000), 25_000);
  assert.equal(await cutAfter(parts, "drain", 100), 0);
  await cutAfter(parts, "cleanup", 1000);
  assert.equal(parts.clock.now(), 29_000);
  assert.ok(parts.budget.wasCut);
});

test("a cleanup that hangs leaves records their time before the deadline", async () => {
  const parts = budgetOf(30);
  parts.budget.begin();
  await parts.clock.advance(25_000);
  await cutAfter(parts, "cleanup", 1000);
  assert.ok(parts.budget.remainingMs("records") >= 500, `${parts.budget.remainingMs("records")}`);
  assert.ok(parts.clock.now() + parts.budget.remainingMs("records") <= 30_000);
});

test("begin() counts once", async () => {
  const parts = budgetOf(30);
  parts.budget.begin();
  await parts.clock.advance(20_000);
  parts.budget.begin();
  assert.equal(parts.budget.remainingMs("in_flight"), 5000);
});

test("a stage that is done early ends early and leaves no timer", async () => {
  const { clock, budget } = budgetOf(30);
  assert.equal(await budget.run("in_flight", () => Promise.resolve()), true);
  assert.equal(clock.now(), 0);
  assert.equal(clock.pendingTimers, 0);
  assert.equal(budget.wasCut, false);
});

test("run() tells work that its time is up", async () => {
  const { clock, budget } = budgetOf(30);
  let isOver = false;
  budget.run("drain", (signal) => {
    signal.addEventListener("abort", () => isOver = true);
    return new Promise(() => {});
  });
  await clock.advance(24_999);
  assert.equal(isOver, false);
  await clock.advance(1);
  assert.equal(isOver, true);
});

test("run() never throws: a stage that fails is logged and not counted as cut", async () => {
  const { budget, lines } = budgetOf(30);
  const sync = await budget.run("cleanup", () => {
    throw new Error("sync");
  });
  assert.equal(sync, false);
  assert.equal(await budget.run("cleanup", () => Promise.reject(new Error("async"))), false);
  assert.equal(lines.filter((line) => line === "Shutdown stage cleanup failed").length, 2);
  assert.equal(budget.wasCut, false);
});

test("run() does not mind work that fails after it was cut", async () => {
  const { clock, budget } = budgetOf(3);
  const late = Promise.withResolvers<void>();
  const done = budget.run("drain", () => late.promise);
  await clock.advance(2000);
  assert.equal(await done, false);
  late.reject(new Error("late"));
  await clock.settle();
});

test("force() ends grace, in_flight and drain at once, the later ones before they begin", async () => {
  const { clock, budget } = budgetOf(30, 10);
  budget.begin();
  const done: string[] = [];
  budget.grace().then(() => done.push("grace"));
  budget.run("in_flight", () => new Promise(() => {})).then(() => done.push("in_flight"));
  budget.run("cleanup", () => new Promise(() => {})).then(() => done.push("cleanup"));
  await clock.settle();
  assert.equal(done.join(), "");
  budget.force();
  await clock.settle();
  assert.equal(done.sort().join(), "grace,in_flight");
  budget.run("drain", () => new Promise(() => {})).then(() => done.push("drain"));
  await clock.advance(0);
  assert.ok(done.includes("drain"));
  await budget.grace();
  assert.ok(budget.wasCut);
});

test("force() still lets the forced stages run, and gives them time even after the deadline", async () => {
  const parts = budgetOf(30);
  parts.budget.begin();
  await parts.clock.advance(31_000);
  parts.budget.force();
  assert.equal(await parts.budget.run("cleanup", () => Promise.resolve()), true);
  assert.equal(parts.budget.remainingMs("cleanup"), 5000);
});

test("grace() is slept in full, and not at all when it is 0", async () => {
  const { clock, budget } = budgetOf(30, 7);
  let isOver = false;
  budget.grace().then(() => isOver = true);
  await clock.advance(6999);
  assert.equal(isOver, false);
  await clock.advance(1);
  assert.equal(isOver, true);
  await budgetOf(30, 0).budget.grace();
});

test("a timeout of 0 still runs every stage", async () => {
  const { clock, budget } = budgetOf(0);
  let ran = 0;
  const done = budget.run("cleanup", () => {
    ran++;
    return new Promise(() => {});
  });
  await clock.advance(0);
  assert.equal(await done, false);
  assert.equal(ran, 1);
});
