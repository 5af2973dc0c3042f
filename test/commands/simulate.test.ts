import assert from "node:assert/strict";
import { test } from "node:test";
import { module as sample } from "@stator/worker/engines/sample";
import { runOn } from "../../src/commands/run.ts";
import { run } from "../../src/commands/simulate.ts";
import type { EngineModule } from "../../src/engine/engine.ts";
import { chunk } from "../../src/protocol/output.ts";
import { platformWith } from "../support/worker_rig.ts";

/** Never ends a stream by itself, and does not care about being aborted. */
const deaf: EngineModule = {
  options: [{ key: "size", flag: "size", type: "integer", group: "Mine", help: "its size" }],
  create: () => ({
    start: () => Promise.resolve({ model: "deaf" }),
    async *generate() {
      yield chunk.tokens([1]);
      await new Promise(() => {});
    },
    cleanup() {},
  }),
};

/** Runs `stator simulate` with what is printed kept. */
async function simulate(...argv: string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const real = platformWith();
  const platform = platformWith({
    process: {
      ...real.process,
      env: {},
      print: (line) => void out.push(line),
      printError: (line) => void errors.push(line),
    },
  });
  const tables = {
    engines: { sample: () => Promise.resolve(sample), deaf: () => Promise.resolve(deaf) },
    commands: { simulate: () => Promise.resolve({ run }) },
  };
  return { code: await runOn(platform, ["simulate", ...argv], tables), out, errors };
}

test("simulate prints a sum and exits with 0 when every promise was kept", async () => {
  const { code, out, errors } = await simulate("--seed", "1", "--lives", "20");
  assert.equal(code, 0);
  assert.deepEqual(errors, []);
  assert.match(out.join("\n"), /^20 lives of sample, seeds 1 to 20: \d+ requests in \d+ s of virtual time; ended /);
  assert.equal(out.at(-1)?.split("\n").at(-1), "every promise was kept");
});

test("simulate exits with 1 and prints what was broken, and a command that shows it again", async () => {
  const { code, out } = await simulate(
    "--engine",
    "deaf",
    "--seed",
    "40",
    "--lives",
    "5",
    "--size",
    "3",
    "--faults=cancel",
  );
  assert.equal(code, 1);
  const replay = /^Run it again with: stator (simulate .*)$/m.exec(out.join("\n"))?.[1] ?? "";
  assert.match(replay, /^simulate --engine deaf --seed 4\d --lives 1 --trace --size 3 --faults=cancel$/);
  const again = await simulate(...replay.split(" ").slice(1));
  assert.equal(again.code, 1);
  assert.match(again.out[0]!, /^ +0\.000 {2}world +begin/);
  const violation = /^ {2}I4 r\d+: .*$/m;
  assert.equal(violation.exec(again.out.join("\n"))?.[0], violation.exec(out.join("\n"))?.[0]);
});

test("the same life prints the same digest", async () => {
  const digest = async () =>
    /^digest [0-9a-f]{16}$/m.exec((await simulate("--lives", "1", "--seed", "9")).out.join("\n"))?.[0];
  const first = await digest();
  assert.ok(first !== undefined);
  assert.equal(await digest(), first);
});

test("bad usage exits with 2 and names the choices", async () => {
  const unknown = await simulate("--faults", "cansel");
  assert.equal(unknown.code, 2);
  assert.match(unknown.errors[0]!, /^--faults: unknown fault cansel: choose of none, cancel, .*did you mean cancel\?/);
  assert.equal((await simulate("--lives", "0")).code, 2);
  assert.equal((await simulate("--engine", "nobody")).code, 2);
});

test("--faults none lets nothing go wrong, --help lists the options", async () => {
  const calm = await simulate("--faults", "none", "--lives", "5");
  assert.match(calm.out.join("\n"), /ended 5 with code 0$/m);
  assert.match((await simulate("--help")).out.join("\n"), /--lives <integer>/);
});
