/** A simulated life goes the same way on every runtime, and leaves nothing behind. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { simulate } from "../../src/testing/mod.ts";
import { numberedEngine } from "../support/numbered_engine.ts";
import { run } from "../support/processes.ts";
import { executable, RUN } from "../support/runtimes.ts";

const SCRIPT = fileURLToPath(new URL("../support/simulation_digests.ts", import.meta.url));
const [SEED, LIVES] = [7000, 60];

Deno.test("a seed's history is the same on Deno and Bun", async () => {
  const here = await simulate(numberedEngine, { seed: SEED, lives: LIVES });
  const args = [...RUN.bun, SCRIPT, String(SEED), String(LIVES)];
  const there = await run({ name: "bun", executable: await executable("bun"), args, env: {} }, 120_000);
  assert.equal(there.code, 0, there.output);
  const digests = here.lives.map(({ seed, digest }) => `${seed} ${digest}`);
  assert.deepEqual(there.stdout.trim().split("\n"), digests);
});
