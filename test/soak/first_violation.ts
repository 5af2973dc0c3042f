/**
 * Prints the first promise that a life breaks, if any does: `first_violation.ts <seed> <lives>`.
 *
 * @module
 */
import process from "node:process";
import { simulate } from "../../src/testing/simulation/simulate.ts";
import { numberedEngine } from "../support/numbered_engine.ts";

const [seed = "1", lives = "1000"] = process.argv.slice(2);
const report = await simulate(numberedEngine, { seed: Number(seed), lives: Number(lives), bail: true });
const last = report.lives.at(-1)!;
for (const { invariant, id, message } of last.violations.slice(0, 1)) {
  console.log(
    `seed ${last.seed} (life ${report.lives.length}): ${invariant}${id === undefined ? "" : ` ${id}`}: ${message}`,
  );
}
// Streams that hang for ever must not keep the process.
process.exit(0);
