/**
 * The ranks of one worker: separate queues and blocks, one clock.
 *
 * @source aisimulate-core 0.13.0, `generalized/engine.rs`
 * @module
 */
import { Pass } from "./pass.ts";
import type { RankScheduler } from "./rank_scheduler.ts";

/** The pass of one rank in a pass of the group. */
export interface RankPass {
  /** Its number in the group. */
  readonly rank: number;
  /** What it brought. */
  readonly pass: Pass;
}

/** Ranks that begin and end their passes together. */
export class EngineGroup {
  /** Their schedulers, by number. */
  readonly ranks: readonly RankScheduler[];
  /** Stands for the pass of a rank that had nothing to do. */
  readonly #idle: readonly Pass[];
  readonly #passes: RankPass[] = [];
  #step = 0;
  #startMs = 0;
  #endMs = 0;
  #isBusy = false;

  /** Makes a group of idle ranks. */
  constructor(ranks: readonly RankScheduler[]) {
    this.ranks = ranks;
    this.#idle = ranks.map(() => new Pass());
  }

  /** Whether a pass is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Whether a pass could begin. */
  get isReady(): boolean {
    return !this.#isBusy && this.ranks.some((rank) => rank.isReady);
  }

  /** Whether no request is left in any rank. */
  get isDrained(): boolean {
    return this.ranks.every((rank) => rank.isDrained);
  }

  /** Requests in the pass that is under way, of all ranks; 0 if there is none. */
  get batch(): number {
    let requests = 0;
    for (const { pass: { forward: { scheduled_requests: ran } } } of this.#isBusy ? this.#passes : []) {
      requests += ran.num_prefill_requests + ran.num_decode_requests;
    }
    return requests;
  }

  /** When the pass that is under way ends, that of its slowest rank. @unit milliseconds */
  get endMs(): number {
    return this.#endMs;
  }

  /** Whether anything can happen between passes. */
  get hasCopies(): boolean {
    return this.ranks.some((rank) => rank.hasCopies);
  }

  /** When something happens between passes; infinite during a pass and if nothing will. @unit milliseconds */
  get nextMs(): number {
    if (this.#isBusy) return Infinity;
    let next = Infinity;
    for (const rank of this.ranks) next = Math.min(next, rank.nextMs);
    return next;
  }

  /** Does what is due between passes; the ranks that had something to do. */
  advance(nowMs: number): number[] {
    const due: number[] = [];
    this.ranks.forEach((scheduler, rank) => {
      if (scheduler.nextMs > nowMs) return;
      scheduler.advance(nowMs);
      due.push(rank);
    });
    if (this.isDrained) this.#step = 0;
    return due;
  }

  /**
   * Begins a pass on every rank that has something to do.
   *
   * @returns The passes of those ranks, in order of rank; valid until the next call.
   */
  begin(nowMs: number): readonly RankPass[] {
    const group = { step: this.#step++, size: this.ranks.length };
    this.#passes.length = 0;
    this.#startMs = this.#endMs = nowMs;
    let anyPrefilled = false;
    let anyRan = false;
    this.ranks.forEach((scheduler, rank) => {
      if (!scheduler.isReady) return;
      const pass = scheduler.pass(nowMs, group);
      this.#endMs = Math.max(this.#endMs, pass.endMs);
      const { num_prefill_requests, num_decode_requests } = pass.forward.scheduled_requests;
      anyPrefilled ||= num_prefill_requests > 0;
      anyRan ||= num_prefill_requests + num_decode_requests > 0;
      this.#passes.push({ rank, pass });
    });
    for (const rank of this.ranks) rank.finishGroup(anyPrefilled, anyRan);
    this.#isBusy = true;
    return this.#passes;
  }

  /**
   * Ends the pass: what waited for its end happens now, and what it brought may be taken.
   *
   * @returns The passes of all ranks in order; valid until the next call.
   */
  end(): readonly RankPass[] {
    this.#isBusy = false;
    for (const rank of this.ranks) rank.settle(this.#endMs);
    const ran = this.#passes.splice(0);
    let next = 0;
    for (let rank = 0; rank < this.ranks.length; rank++) {
      if (ran[next]?.rank === rank) {
        this.#passes.push(ran[next++]!);
        continue;
      }
      this.#idle[rank]!.begin(this.#startMs);
      this.#passes.push({ rank, pass: this.#idle[rank]! });
    }
    for (const { pass } of this.#passes) pass.forward.wall_time = (this.#endMs - this.#startMs) / 1000;
    if (this.isDrained) this.#step = 0;
    return this.#passes;
  }
}
