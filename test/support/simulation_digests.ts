/**
 * Prints the digests of some simulated lives, a line each: `simulation_digests.ts <seed> <lives>`.
 *
 * @module
 */
import process from "node:process";
import { simulate } from "../../src/testing/simulation/simulate.ts";
import { numberedEngine } from "./numbered_engine.ts";

const [seed, lives] = process.argv.slice(2).map(Number);
const report = await simulate(numberedEngine, { seed: seed!, lives: lives! });
for (const { seed, digest } of report.lives) console.log(seed, digest);
