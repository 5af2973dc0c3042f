/**
 * The real platform: this machine, on Deno or Bun.
 *
 * @module
 */
import { randomBytes, randomUUID } from "node:crypto";
import { lstat } from "node:fs";
import process from "node:process";
import { files } from "./files.ts";
import { createHttp } from "./http.ts";
import { httpClients } from "./http_client.ts";
import type { Clock, Platform, Process, Random } from "./platform.ts";
import { programs } from "./programs.ts";
import { realWatchdog } from "./real_watchdog.ts";
import { runtimeName } from "./runtime.ts";
import { createNodeNet } from "./tcp_node.ts";
import { bunNet } from "./tcp_bun.ts";

/** Deno looks a global up through a getter each time. */
const time = performance;
const isDeno = process.versions.deno !== undefined;

/** Runs of this turn; one immediate serves them all. */
let turn: (() => void)[] = [];
/** When the last turn ended, and whether the next followed it without a pause. */
let turnEndedAt = 0;
let isBusy = false;
/** When Deno's event loop looked at its sockets last. */
let polledAt = 0;

/** Turns this close together leave the event loop no time to wait for sockets. @unit milliseconds */
const PAUSE_MS = 0.2;
/** Time after which busy turns let the event loop look at its sockets. @unit milliseconds */
const POLL_MS = 1;

function runTurn(): void {
  const runs = turn;
  turn = [];
  for (const run of runs) run();
  runLater();
  turnEndedAt = time.now();
}

/** Runs that no turn was scheduled for; a turn takes them along, else the timer does. */
let later: (() => void)[] = [];
let laterTimer: ReturnType<typeof setTimeout> | null = null;

function runLater(): void {
  if (later.length === 0) return;
  const runs = later;
  later = [];
  for (const run of runs) run();
  if (later.length > 0 || laterTimer === null) return;
  clearTimeout(laterTimer);
  laterTimer = null;
}

/**
 * While immediates are pending, Deno's event loop looks at sockets only every 61st turn (tokio's event interval), so new
 * requests and connects would wait for tens of milliseconds. A call that a thread answers makes it look at once.
 */
function scheduleTurn(): void {
  const now = time.now();
  isBusy = now - turnEndedAt < PAUSE_MS;
  if (!isBusy) polledAt = now;
  if (!isDeno || now - polledAt < POLL_MS) return void setImmediate(runTurn);
  lstat("/", () => {
    polledAt = time.now();
    // Deno may call back before promises have settled, when the thread was quick.
    setImmediate(runTurn);
  });
}

/** What to add to the monotonic time to get the wall-clock time, with more digits than `Date.now()` has. */
let wallOffset = Date.now() - time.now();

const clock: Clock = {
  now: () => time.now(),
  wallTime(): number {
    const coarse = Date.now();
    // The system clock was set: follow it.
    if (Math.abs(coarse - wallOffset - time.now()) > 2) wallOffset = coarse - time.now();
    return wallOffset + time.now();
  },
  timer(delayMs: number, fire: () => void): Disposable {
    const timer = setTimeout(fire, Math.max(0, delayMs));
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  endOfTurn(run: () => void): void {
    if (turn.length === 0) scheduleTurn();
    turn.push(run);
  },
  laterTurn(run: () => void, withinMs: number): void {
    later.push(run);
    laterTimer ??= setTimeout(() => {
      laterTimer = null;
      runLater();
    }, withinMs);
  },
  get isBusy(): boolean {
    return isBusy;
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
  isErrorTerminal: process.stderr.isTTY === true,
};

/** The platform of this machine. */
export const realPlatform: Platform = {
  clock,
  random,
  // Through `node:net` a write costs Bun half as much again.
  net: process.versions.bun === undefined ? createNodeNet(setImmediate) : bunNet,
  files,
  http: createHttp(clock),
  httpClients,
  process: thisProcess,
  watchdog: realWatchdog,
  programs,
  runtime: runtimeName(),
};
