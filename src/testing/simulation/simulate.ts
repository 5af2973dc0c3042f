/**
 * Runs a whole worker, again and again, in a world that is made up from a seed.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import type { Clock } from "../../platform/platform.ts";
import { realPlatform } from "../../platform/real.ts";
import type { WorkerOptions } from "../../worker/options.ts";
import { digestOf, formatEvent } from "./history.ts";
import { violations } from "./invariants.ts";
import { type Life, runLife } from "./life.ts";
import { SIMULATION_FAULTS, type SimulationFault } from "./life_plan.ts";
import type { Violation } from "./violation.ts";

/** Settings of {@linkcode simulate}. */
export interface SimulationOptions {
  /** What the first life follows from; the next ones follow from the next numbers. @default 1 */
  readonly seed?: number;
  /** Number of lives. @default 1 */
  readonly lives?: number;
  /** What may go wrong. @default all kinds */
  readonly faults?: readonly SimulationFault[];
  /** Settings of the worker that are not left to the seed. */
  readonly worker?: WorkerOptions;
  /** Ends with the first life that breaks a promise. @default false */
  readonly bail?: boolean;
  /** Keeps the histories of all lives, not only of those that broke a promise. @default false */
  readonly trace?: boolean;
  /** The command that runs the life of one seed again, for the report. @default a call of `simulate` */
  readonly replay?: (seed: number) => string;
}

/** One life, seen from its end. */
export interface SimulatedLife {
  /** What it followed from. */
  readonly seed: number;
  /** Two lives with one digest went the same way, event by event; 16 hexadecimal digits. */
  readonly digest: string;
  /** Exit code of the worker; -1 if it never exited. */
  readonly exitCode: number;
  /** Requests that were sent. */
  readonly requests: number;
  /** Virtual time until the worker was gone. @unit milliseconds */
  readonly durationMs: number;
  /** Promises that were broken. */
  readonly violations: readonly Violation[];
  /** What happened, a line an event; empty if it was not kept. */
  readonly trace: readonly string[];
}

/** What a simulation came to. */
export interface SimulationReport {
  /** Whether no promise was broken. */
  readonly ok: boolean;
  /** The lives, in order. */
  readonly lives: readonly SimulatedLife[];
  /** The command that runs the first life again that broke a promise; `null` if none did. */
  readonly replay: string | null;
}

/** A simulation in which promises were broken. Its message tells the first of them, and the command to see them again. */
export class SimulationError extends Error {
  /** Everything that was found. */
  readonly report: SimulationReport;

  /** Makes an error. */
  constructor(report: SimulationReport) {
    super(formatFailures(report).join("\n"));
    this.name = "SimulationError";
    this.report = report;
  }
}

/**
 * Runs an engine in a worker, from its start to its exit, over virtual time, on a network and a discovery in memory,
 * with frontends, clients and faults that follow from a seed; then checks what happened against the promises of a worker.
 *
 * The same seed gives the same history, event by event, on every runtime. The engine must wait by `ctx.clock` and by
 * nothing else, and take its chances from the request. With `faults: []` nothing goes wrong but what the engine does.
 *
 * @param engine An engine, or what makes one; an engine lives all lives, one after the other.
 * @example
 * ```ts
 * import { sampleEngine } from "@stator/worker/engines/sample";
 * import { assertSimulation, simulate } from "@stator/worker/testing";
 *
 * assertSimulation(await simulate(() => sampleEngine(), { seed: 1, lives: 10 }));
 * ```
 */
export function simulate(
  engine: Engine | (() => Engine | Promise<Engine>),
  options: SimulationOptions = {},
): Promise<SimulationReport> {
  return simulateOn(realPlatform.clock, engine, options);
}

/** {@linkcode simulate} with another clock to tell when promises have settled. */
export async function simulateOn(
  turns: Clock,
  engine: Engine | (() => Engine | Promise<Engine>),
  options: SimulationOptions = {},
): Promise<SimulationReport> {
  const { seed: first = 1, lives: count = 1, worker = {}, bail = false, trace = false } = options;
  const faults = new Set(options.faults ?? SIMULATION_FAULTS);
  const lives: SimulatedLife[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const made = typeof engine === "function" ? await engine() : engine;
    const life = summarise(await runLife({ engine: made, seed, faults, worker, turns }), trace);
    lives.push(life);
    if (bail && life.violations.length > 0) break;
  }
  const failed = lives.find(({ violations }) => violations.length > 0);
  const replay = options.replay ?? ((seed) => `simulate(engine, { seed: ${seed}, trace: true })`);
  return { ok: failed === undefined, lives, replay: failed === undefined ? null : replay(failed.seed) };
}

/** Throws unless every promise was kept. @throws {SimulationError} If one was broken. */
export function assertSimulation(report: SimulationReport): void {
  if (!report.ok) throw new SimulationError(report);
}

/** Violations that are told of one life. */
const TOLD = 5;

/** What was broken in the first life that broke a promise, and how to see it again, in lines. */
export function formatFailures({ lives, replay }: SimulationReport): string[] {
  const failed = lives.filter(({ violations }) => violations.length > 0);
  const [first] = failed;
  if (first === undefined) return [];
  const told = first.violations.slice(0, TOLD).map(({ invariant, id, message }) =>
    `  ${invariant}${id === undefined ? "" : ` ${id}`}: ${message}`
  );
  return [
    `${failed.length} of ${lives.length} lives broke a promise; the first has seed ${first.seed}:`,
    ...told,
    ...first.violations.length > TOLD ? [`  and ${first.violations.length - TOLD} more`] : [],
    `Run it again with: ${replay}`,
  ];
}

function summarise(life: Life, keepsTrace: boolean): SimulatedLife {
  const { seed, events } = life;
  const found = violations(life);
  const exit = events.find(({ what }) => what === "exit");
  return {
    seed,
    digest: digestOf(events),
    exitCode: exit?.number ?? -1,
    requests: events.filter(({ what }) => what === "sent").length,
    durationMs: exit?.at ?? Infinity,
    violations: found,
    trace: keepsTrace || found.length > 0 ? events.map(formatEvent) : [],
  };
}
