/**
 * The workers of one pool under a virtual clock.
 *
 * @module
 */
import type { EngineGroup, RankPass } from "../engine_group.ts";
import type { ForwardPass } from "../forward_pass.ts";
import type { Pool, RequestLog } from "./request_log.ts";

/** Told of every pass that ends. */
export type PassObserver = (nowMs: number, pool: Pool, worker: number, rank: number, forward: ForwardPass) => void;

/** Told how a worker stands whenever something may have changed, after all that happens to it at that time. */
export type WorkerObserver = (nowMs: number, pool: Pool, worker: number, group: EngineGroup) => void;

/** What a pool needs of the replay. */
export interface PoolParts {
  /** Where admissions are noted. */
  readonly log: RequestLog;
  /** Notes that a worker's pass ends later. */
  readonly schedule: (atMs: number, pool: WorkerPool, worker: number) => void;
  /** Takes what a pass brought, at its end; whether a hand-over or a cache has changed. */
  readonly onPassEnd: (pool: WorkerPool, worker: number, passes: readonly RankPass[], nowMs: number) => boolean;
  /** Takes what a rank's cache has changed between passes. */
  readonly onCopies: (pool: WorkerPool, worker: number, rank: number) => void;
  /** Told of every pass. */
  readonly onPass?: PassObserver | undefined;
  /** Told how workers stand. */
  readonly onWorker?: WorkerObserver | undefined;
}

/** Rounds of copies at one time, after which something is wrong. */
const MAX_TURNS = 1024;

/** Workers, and which of them may begin a pass. */
export class WorkerPool {
  /** Which pool it is. */
  readonly name: Pool;
  /** Its workers, by number. */
  readonly workers: readonly EngineGroup[];
  readonly #parts: PoolParts;
  readonly #isMarked: Uint8Array;
  readonly #hasCopies: boolean;
  #marked: number[] = [];

  /** Makes a pool of idle workers. */
  constructor(name: Pool, workers: readonly EngineGroup[], parts: PoolParts) {
    this.name = name;
    this.workers = workers;
    this.#parts = parts;
    this.#isMarked = new Uint8Array(workers.length);
    this.#hasCopies = workers.some((worker) => worker.hasCopies);
  }

  /** When a copy ends at a worker that is between passes; infinite without copies. @unit milliseconds */
  get nextMs(): number {
    let next = Infinity;
    if (this.#hasCopies) { for (const worker of this.workers) next = Math.min(next, worker.nextMs); }
    return next;
  }

  /** Ends the copies that are due at workers between passes, until none is; whether any was. */
  endCopies(nowMs: number): boolean {
    let changed = false;
    for (let turns = 0; this.nextMs <= nowMs; turns++) {
      if (turns === MAX_TURNS) throw new Error(`Cannot finish the replay: copies at ${nowMs} ms come to no end`);
      this.workers.forEach((group, worker) => {
        if (group.nextMs > nowMs) return;
        for (const rank of group.advance(nowMs)) this.#parts.onCopies(this, worker, rank);
        this.mark(worker);
      });
      changed = true;
    }
    return changed;
  }

  /** Tells that a worker may have something to do. */
  mark(worker: number): void {
    if (this.#isMarked[worker] === 1) return;
    this.#isMarked[worker] = 1;
    this.#marked.push(worker);
  }

  /** Begins passes on all idle workers that have something to do; whether any of them had an effect. */
  drive(nowMs: number): boolean {
    if (this.#marked.length === 0) return false;
    let queue = this.#takeMarked();
    let idle: number[] = [];
    let changed = false;
    for (let place = 0; place < queue.length; place++) {
      const worker = queue[place]!;
      const outcome = this.#beginUntilHeard(worker, nowMs);
      if (outcome === "idle") idle.push(worker);
      if (outcome !== "changed") {
        this.#parts.onWorker?.(nowMs, this.name, worker, this.workers[worker]!);
        continue;
      }
      changed = true;
      place--;
      if (idle.length === 0) continue;
      // Whoever got nothing done may do so now, and has a lower number.
      queue = [...idle, ...queue.slice(place + 1)];
      idle = [];
      place = -1;
    }
    // They wait for something that only another event can bring.
    for (const worker of idle) this.mark(worker);
    return changed;
  }

  #takeMarked(): number[] {
    const workers = this.#marked.sort((a, b) => a - b);
    this.#marked = [];
    for (const worker of workers) this.#isMarked[worker] = 0;
    return workers;
  }

  /** Begins passes of a worker until somebody hears of one, or nobody would; "over" if it is not ready. */
  #beginUntilHeard(worker: number, nowMs: number): "changed" | "idle" | "over" {
    for (let retries = 0; this.workers[worker]!.isReady; retries++) {
      if (retries === MAX_TURNS) throw new Error(`Cannot finish the replay: passes at ${nowMs} ms come to no end`);
      const outcome = this.#begin(worker, nowMs);
      if (outcome !== "again") return outcome;
    }
    return "over";
  }

  /** Ends the pass of a worker; whether a hand-over or a cache has changed with it. */
  end(worker: number, nowMs: number): boolean {
    const group = this.workers[worker]!;
    const passes = group.end();
    for (const { rank, pass } of passes) {
      this.#parts.log.prefillTokens += pass.forward.scheduled_requests.sum_prefill_tokens;
      this.#parts.onPass?.(nowMs, this.name, worker, rank, pass.forward);
    }
    this.mark(worker);
    return this.#parts.onPassEnd(this, worker, passes, nowMs);
  }

  /** Begins a pass; "again" if nobody has heard of anything, but the next one may be different. */
  #begin(worker: number, nowMs: number): "changed" | "again" | "idle" {
    const group = this.workers[worker]!;
    const passes = group.begin(nowMs);
    let progressed = false;
    let retries = false;
    for (const { pass } of passes) {
      progressed ||= pass.progressed;
      retries ||= pass.retries;
      for (const { request, reusedTokens } of pass.admissions) {
        this.#parts.log.onAdmission(request.id, this.name, nowMs, reusedTokens);
      }
    }
    if (group.endMs > nowMs) {
      this.#parts.schedule(group.endMs, this, worker);
      return "changed";
    }
    if (this.end(worker, nowMs) || progressed) return "changed";
    return retries ? "again" : "idle";
  }
}
