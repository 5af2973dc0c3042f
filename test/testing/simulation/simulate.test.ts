import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { chunk } from "@stator/worker";
import { assertSimulation, simulate, SimulationError } from "@stator/worker/testing";
import { SIMULATION_FAULTS } from "../../../src/testing/simulation/life_plan.ts";
import { numberedEngine } from "../../support/numbered_engine.ts";

/** More lives: `STATOR_SEED=1234 STATOR_LIVES=100000`. */
const { STATOR_SEED = "1", STATOR_LIVES = "1000" } = process.env;

test("a loaded worker keeps its promises in a thousand lives with faults", async () => {
  const report = await simulate(numberedEngine, {
    seed: Number(STATOR_SEED),
    lives: Number(STATOR_LIVES),
    replay: (seed) => `STATOR_SEED=${seed} STATOR_LIVES=1 deno test -A test/testing/simulation/simulate.test.ts`,
  });
  const failed = report.lives.find(({ violations }) => violations.length > 0);
  if (failed !== undefined && report.lives.length === 1) console.log(failed.trace.join("\n"));
  assertSimulation(report);
});

test("the lives are not all the same: every exit code and every kind of end occurs", async () => {
  const { lives } = await simulate(numberedEngine, { seed: 1, lives: 200, trace: true });
  assert.deepEqual([...new Set(lives.map(({ exitCode }) => exitCode))].sort(), [0, 1, 3, 4]);
  const events = lives.flatMap(({ trace }) => trace).join("\n");
  for (
    const seen of [
      "told  kill",
      "told  stop",
      "aborted  disconnect",
      "aborted  deadline",
      "prologue error",
      "error  backend.engine_shutdown",
      "error  backend.unknown",
      "Server overloaded",
      "Server unavailable",
      "store fails",
      "crash",
      "cut off",
      "drop_link",
      "half_close",
      "reads again",
      "Engine ignores an abort",
    ]
  ) {
    assert.ok(events.includes(seen), `nothing shows '${seen}'`);
  }
});

test("the same seed gives the same history, another seed another", async () => {
  const [first, again] = [
    await simulate(numberedEngine, { seed: 500, lives: 20, trace: true }),
    await simulate(numberedEngine, { seed: 500, lives: 20, trace: true }),
  ];
  assert.deepEqual(first, again);
  const digests = first.lives.map(({ digest }) => digest);
  assert.equal(new Set(digests).size, digests.length);
});

test("without faults every request of a worker with room comes to its end", async () => {
  const worker = { engineRequestLimit: 100, graceSeconds: 0 };
  const { lives } = await simulate(numberedEngine, { seed: 1, lives: 20, faults: [], worker, trace: true });
  for (const { seed, exitCode, trace, violations } of lives) {
    assert.deepEqual(violations, []);
    assert.equal(exitCode, 0, `seed ${seed}`);
    const count = (what: RegExp) => trace.filter((line) => what.test(line)).length;
    assert.equal(count(/ {2}sentinel$/), count(/ {2}accepted$/), `seed ${seed}`);
    assert.equal(count(/ {2}(?:error|broken|malformed) /), 0, `seed ${seed}`);
  }
});

test("each kind of fault can be chosen by itself", async () => {
  for (const fault of SIMULATION_FAULTS) {
    assertSimulation(await simulate(numberedEngine, { seed: 1, lives: 3, faults: [fault] }));
  }
});

test("an engine that ignores its aborts is found, with the command to see it again", async () => {
  const deaf = {
    ...numberedEngine(),
    async *generate() {
      yield chunk.tokens([1]);
      await new Promise(() => {});
    },
  };
  const report = await simulate(deaf, { seed: 40, lives: 5, bail: true, replay: (seed) => `again ${seed}` });
  const last = report.lives.at(-1)!;
  assert.equal(report.ok, false);
  assert.ok(last.violations.some(({ invariant }) => invariant === "I4"));
  assert.ok(last.trace.length > 0);
  assert.equal(report.replay, `again ${last.seed}`);
  assert.throws(() => assertSimulation(report), (error: SimulationError) => {
    assert.ok(error instanceof SimulationError);
    return error.message.includes(`seed ${last.seed}`) && error.message.endsWith(`again ${last.seed}`);
  });
});

test("nothing is kept of lives in order unless it is asked for", async () => {
  const { lives, replay, ok } = await simulate(numberedEngine, { seed: 1, lives: 2 });
  assert.deepEqual([ok, replay, lives.map(({ trace }) => trace.length)], [true, null, [0, 0]]);
});
