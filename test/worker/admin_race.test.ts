import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../../src/engine/engine.ts";
import { createBench, held, post } from "../support/admin_bench.ts";

const SHUTTING_DOWN = {
  status: 200,
  body: {
    status: "error",
    message: "engine administrative routes are unavailable while the worker is shutting down",
  },
};

test("a slow control is answered when the worker is told to stop, and waited for until it ends", async () => {
  const slow = held<JsonObject>();
  const bench = await createBench({ controls: { start_profile: () => slow.promise } });
  await bench.serve();
  const asked = bench.ask("/engine/control/start_profile", post());
  await bench.clock.settle();
  let isSettled = false;
  bench.stop();
  bench.admin.settled().then(() => isSettled = true);
  assert.deepEqual(await asked, SHUTTING_DOWN);
  await bench.clock.settle();
  assert.equal(isSettled, false);
  slow.open({});
  await bench.clock.settle();
  assert.equal(isSettled, true);
});

test("a control that fails after the worker was told to stop fails in silence, but for the log", async () => {
  const slow = held<JsonObject>();
  const bench = await createBench({ updates: { update_weights: () => slow.promise } });
  await bench.serve();
  const asked = bench.ask("/engine/update/update_weights", post());
  await bench.clock.settle();
  bench.stop();
  assert.deepEqual(await asked, SHUTTING_DOWN);
  slow.fail(new Error("lost"));
  await bench.admin.settled();
  assert.ok(bench.lines.some((line) => /WARN .*Engine update failed.*lost/.test(line)), bench.lines.join("\n"));
});

test("a wake_up that ends while the worker stops does not register it again", async () => {
  const slow = held<JsonObject>();
  const bench = await createBench({ controls: { sleep: () => ({}), wake_up: () => slow.promise } });
  const registration = await bench.serve();
  await bench.ask("/engine/control/sleep", post());
  const asked = bench.ask("/engine/control/wake_up", post());
  await bench.clock.settle();
  bench.stop();
  slow.open({ status: "ok" });
  assert.deepEqual(await asked, SHUTTING_DOWN);
  await registration.retire();
  await bench.admin.settled();
  assert.equal(bench.isRegistered(), false);
  assert.deepEqual(bench.events, ["delete v1/instances", "delete v1/instances"]);
});

test("a control whose worker is told to stop while it leaves discovery does not reach the engine", async () => {
  const leaving = held<void>();
  const bench = await createBench({ controls: { sleep: () => (bench.events.push("engine"), {}) } }, {
    hooks: { leaving: () => leaving.promise },
  });
  await bench.serve();
  const asked = bench.ask("/engine/control/sleep", post());
  await bench.clock.settle();
  bench.stop();
  assert.deepEqual(await asked, SHUTTING_DOWN);
  leaving.open();
  await bench.admin.settled();
  assert.deepEqual(bench.events, ["delete v1/instances"]);
});

test("of controls that move the worker one runs at a time, in order; the others do not wait", async () => {
  const [first, second] = [held<JsonObject>(), held<JsonObject>()];
  const bench = await createBench({
    controls: {
      sleep: () => (bench.events.push("sleep"), first.promise),
      wake_up: () => (bench.events.push("wake_up"), second.promise),
      start_profile: () => ({ status: "ok" }),
    },
    updates: { load_lora: () => ({ status: "ok" }) },
  });
  await bench.serve();
  const slept = bench.ask("/engine/control/sleep", post());
  await bench.clock.settle();
  const woke = bench.ask("/engine/control/wake_up", post());
  await bench.clock.settle();
  const drained = bench.ask("/engine/drain", post());
  await bench.clock.settle();
  for (const path of ["control/start_profile", "update/load_lora"]) {
    assert.deepEqual(await bench.ask(`/engine/${path}`, post()), { status: 200, body: { status: "ok" } });
  }
  assert.deepEqual(bench.events, ["delete v1/instances", "sleep"]);
  first.open({ said: 1 });
  assert.deepEqual((await slept).body, { said: 1 });
  await bench.clock.settle();
  assert.deepEqual(bench.events, ["delete v1/instances", "sleep", "wake_up"]);
  second.open({ said: 2 });
  assert.deepEqual((await woke).body, { said: 2 });
  assert.equal((await drained).status, 200);
  assert.deepEqual(bench.events.slice(3), ["put v1/instances", "delete v1/instances"]);
  assert.equal(bench.isRegistered(), false);
});

test("a control that waits for its turn when the worker is told to stop is never made", async () => {
  const slow = held<JsonObject>();
  const bench = await createBench({
    controls: { sleep: () => slow.promise, wake_up: () => (bench.events.push("wake_up"), {}) },
  });
  await bench.serve();
  const slept = bench.ask("/engine/control/sleep", post());
  await bench.clock.settle();
  const woke = bench.ask("/engine/control/wake_up", post());
  await bench.clock.settle();
  bench.stop();
  assert.deepEqual(await slept, SHUTTING_DOWN);
  assert.deepEqual(await woke, SHUTTING_DOWN);
  slow.open({});
  await bench.admin.settled();
  assert.deepEqual(bench.events, ["delete v1/instances"]);
});

test("validateControl() is not asked of an engine that is being cleaned up", async () => {
  const bench = await createBench({
    controls: { sleep: () => ({}) },
    validateControl: () => void bench.events.push("asked"),
  });
  await bench.serve();
  bench.stop();
  assert.deepEqual(await bench.ask("/engine/control/sleep", post()), SHUTTING_DOWN);
  assert.deepEqual(bench.events, []);
});

test("a control that fails does not keep the next from its turn", async () => {
  const bench = await createBench({ controls: { sleep: () => Promise.reject(new Error("no")), wake_up: () => ({}) } });
  await bench.serve();
  const [slept, woke] = await Promise.all([
    bench.ask("/engine/control/sleep", post()),
    bench.ask("/engine/control/wake_up", post()),
  ]);
  assert.deepEqual([slept.status, woke.status], [500, 200]);
  assert.equal(bench.isRegistered(), true);
});

test("taints set at the same time are written one after the other; the card keeps the last", async () => {
  const bench = await createBench();
  await bench.serve();
  await Promise.all(
    ["a", "b", "c"].map((taint) => bench.ask("/engine/update/model_taints", post({ taints: [taint] }))),
  );
  assert.deepEqual(bench.taints(), ["c"]);
});
