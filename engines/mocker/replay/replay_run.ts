/**
 * The loop of a replay, and what deployments plug into it.
 *
 * @module
 */
import type { EngineGroup } from "../engine_group.ts";
import type { BlockSequence } from "../sequence.ts";
import type { VirtualClock } from "./clock.ts";
import type { PlacementPolicy } from "./placement.ts";
import type { RequestLog } from "./request_log.ts";
import type { TraceRow } from "./trace.ts";
import type { PassObserver, WorkerObserver } from "./worker_pool.ts";
import type { Workload } from "./workload.ts";

/** Workers and who chooses among them. */
export interface Deployment {
  /** The workers. */
  readonly workers: readonly EngineGroup[];
  /** Who chooses. */
  readonly router: PlacementPolicy;
}

/** What all deployments need. */
export interface RunParts {
  /** All requests. */
  readonly rows: readonly TraceRow[];
  /** The time. */
  readonly clock: VirtualClock;
  /** Where everything is noted. */
  readonly log: RequestLog;
  /** The blocks of a request. */
  readonly sequenceOf: (row: TraceRow) => BlockSequence;
  /** The same in blocks of `prefix_match_unit` tokens, if there is one. */
  readonly unitsOf: ((row: TraceRow) => BlockSequence) | undefined;
  /** Told once a request is over. */
  readonly onEnd: (request: number, nowMs: number) => void;
  /** Told of every pass. */
  readonly onPass?: PassObserver | undefined;
  /** Told how workers stand. */
  readonly onWorker?: WorkerObserver | undefined;
}

/** A deployment during a replay. */
export interface ReplayRun {
  /** When a copy between tiers ends; infinite without copies. @unit milliseconds */
  readonly nextCopyMs: number;
  /** A request arrives. */
  arrive(row: TraceRow, nowMs: number): void;
  /** Lets everything happen that is due now, except arrivals and new passes; whether anything was. */
  settleEvents(nowMs: number): boolean;
  /** Begins passes; whether any had an effect. */
  drive(nowMs: number): boolean;
}

/** How the loop is bounded and watched. */
export interface LoopOptions {
  /** Stops here. @unit milliseconds */
  readonly maxMs?: number | undefined;
  /** Told after each step of time. */
  readonly onStep?: ((nowMs: number, beforeMs: number) => void) | undefined;
}

/**
 * Runs a workload to its end, and the copies that are under way then.
 *
 * @throws {Error} If requests are left that nothing can ever move.
 */
export function runReplay(run: ReplayRun, workload: Workload, clock: VirtualClock, options: LoopOptions = {}): void {
  const { maxMs = Infinity, onStep } = options;
  settle(run, workload, clock.nowMs);
  while (!workload.isDone || run.nextCopyMs < Infinity) {
    const next = Math.min(workload.nextMs, clock.nextMs, run.nextCopyMs);
    if (next > maxMs) return;
    if (next === Infinity) {
      throw new Error(
        `Cannot finish the replay: requests are left at ${clock.nowMs} ms that no pass can move. ` +
          "A request larger than the block pool does that in SGLang mode",
      );
    }
    const before = clock.nowMs;
    clock.nowMs = next;
    settle(run, workload, next);
    onStep?.(next, before);
  }
}

/** At one time: what ends, then who arrives, then what begins, until nothing changes. */
function settle(run: ReplayRun, workload: Workload, nowMs: number): void {
  let changed = true;
  while (changed) {
    changed = run.settleEvents(nowMs);
    for (let turn = workload.take(nowMs); turn !== undefined; turn = workload.take(nowMs)) {
      run.arrive(turn.row, workload.arrivalOf(turn, nowMs));
      changed = true;
    }
    if (run.drive(nowMs)) changed = true;
  }
}
