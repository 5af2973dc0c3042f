/**
 * The real platform: this machine, on Deno or Bun.
 *
 * @module
 */
import { randomBytes, randomUUID } from "node:crypto";
import process from "node:process";
import { files } from "./files.ts";
import { createHttp } from "./http.ts";
import type { Clock, Platform, Process, Random } from "./platform.ts";
import { net } from "./tcp.ts";

/** Runs of this turn; one immediate serves them all. */
let turn: (() => void)[] = [];

function runTurn(): void {
  const runs = turn;
  turn = [];
  for (const run of runs) run();
}

/** What to add to the monotonic time to get the wall-clock time, with more digits than `Date.now()` has. */
let wallOffset = Date.now() - performance.now();

const clock: Clock = {
  now: () => performance.now(),
  wallTime(): number {
    const coarse = Date.now();
    // The system clock was set: follow it.
    if (Math.abs(coarse - wallOffset - performance.now()) > 2) wallOffset = coarse - performance.now();
    return wallOffset + performance.now();
  },
  timer(delayMs: number, fire: () => void): Disposable {
    const timer = setTimeout(fire, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  endOfTurn(run: () => void): void {
    if (turn.length === 0) setImmediate(runTurn);
    turn.push(run);
  },
};

const random: Random = {
  number: () => Math.random(),
  u64: () => randomBytes(8).readBigUInt64BE(),
  uuid: () => randomUUID(),
};

const thisProcess: Process = {
  args: process.argv.slice(2),
  env: { ...process.env },
  onSignal(signal, run): Disposable {
    process.on(signal, run);
    return { [Symbol.dispose]: () => process.off(signal, run) };
  },
  onFault(run): Disposable {
    process.on("uncaughtException", run);
    process.on("unhandledRejection", run);
    return {
      [Symbol.dispose](): void {
        process.off("uncaughtException", run);
        process.off("unhandledRejection", run);
      },
    };
  },
  exit: (code) => process.exit(code),
  print: (line) => void process.stdout.write(line + "\n"),
  printError: (line) => void process.stderr.write(line + "\n"),
};

function runtimeName(): string {
  const { deno, bun, node } = process.versions;
  return deno !== undefined ? `deno ${deno}` : bun !== undefined ? `bun ${bun}` : `node ${node}`;
}

/** The platform of this machine. */
export const realPlatform: Platform = {
  clock,
  random,
  net,
  files,
  http: createHttp(clock),
  process: thisProcess,
  runtime: runtimeName(),
};
