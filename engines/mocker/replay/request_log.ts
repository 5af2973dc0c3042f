/**
 * What happened to the requests of a replay.
 *
 * @module
 */
import { QuantileSketch } from "./quantile_sketch.ts";
import type { TraceRow } from "./trace.ts";

/** Which workers: those that do everything, or one half of a divided deployment. */
export type Pool = "agg" | "prefill" | "decode";

/** How a request ended; `""` if it did not. */
export type Outcome = "" | "completed" | "rejected" | "failed";

/** Details of one request that only some ask for. */
export interface RequestDetail {
  /** Pool, time, reused tokens, whether it had been admitted to the pool before. */
  readonly admissions: [Pool, number, number, boolean][];
  /** Pool, worker, rank, prompt tokens the router expected in its cache. */
  readonly routing: [Pool, number, number, number][];
  /** When things happened for the first time, by their names in the peer's record. @unit milliseconds */
  readonly times: Map<string, number>;
}

const OUTCOMES: readonly Outcome[] = ["", "completed", "rejected", "failed"];

/** Times of all requests, in columns; a request is its place in the trace. */
export class RequestLog {
  /** When it came. @unit milliseconds */
  readonly arrival: Float64Array;
  /** NaN: never admitted. @unit milliseconds */
  readonly firstAdmission: Float64Array;
  /** NaN: no token. @unit milliseconds */
  readonly firstToken: Float64Array;
  /** NaN: no second token. @unit milliseconds */
  readonly secondToken: Float64Array;
  /** NaN: no token. @unit milliseconds */
  readonly lastToken: Float64Array;
  /** When it was over; NaN: not yet. @unit milliseconds */
  readonly terminal: Float64Array;
  /** Tokens of the answer. @unit tokens */
  readonly outputs: Uint32Array;
  /** Most prompt tokens found in a cache at any admission. @unit tokens */
  readonly reused: Uint32Array;
  /** Those of the first. @unit tokens */
  readonly firstReused: Uint32Array;
  /** Gaps between tokens of answers that end well. @unit milliseconds */
  readonly gaps = new QuantileSketch();
  /** Tokens a second that a client sees. */
  readonly rates = new QuantileSketch();
  /** By request, if asked for. */
  readonly details: readonly RequestDetail[] | undefined;
  /** How many arrived. */
  arrived = 0;
  /** Prompt tokens that passes computed. @unit tokens */
  prefillTokens = 0;
  readonly #outcomes: Uint8Array;
  /** Gaps of requests that are not over yet, if such a one may still be rejected. */
  readonly #openGaps: Map<number, number[]> | undefined;
  #gap = 0;
  #gapTimes = 0;

  /**
   * Makes columns for a number of requests.
   *
   * @param mayRejectLate Whether a request may be rejected after its first token.
   */
  constructor(requests: number, withDetails: boolean, mayRejectLate = false) {
    this.#openGaps = mayRejectLate ? new Map() : undefined;
    this.arrival = new Float64Array(requests).fill(NaN);
    this.firstAdmission = new Float64Array(requests).fill(NaN);
    this.firstToken = new Float64Array(requests).fill(NaN);
    this.secondToken = new Float64Array(requests).fill(NaN);
    this.lastToken = new Float64Array(requests).fill(NaN);
    this.terminal = new Float64Array(requests).fill(NaN);
    this.outputs = new Uint32Array(requests);
    this.reused = new Uint32Array(requests);
    this.firstReused = new Uint32Array(requests);
    this.#outcomes = new Uint8Array(requests);
    this.details = withDetails
      ? Array.from({ length: requests }, () => ({ admissions: [], routing: [], times: new Map<string, number>() }))
      : undefined;
  }

  /** How a request ended. */
  outcome(request: number): Outcome {
    return OUTCOMES[this.#outcomes[request]!]!;
  }

  /** A request arrives. */
  onArrival(row: TraceRow, nowMs: number): void {
    this.arrived++;
    this.arrival[row.index] = nowMs;
  }

  /** A request enters a batch. */
  onAdmission(request: number, pool: Pool, nowMs: number, reusedTokens: number): void {
    if (Number.isNaN(this.firstAdmission[request])) {
      this.firstAdmission[request] = nowMs;
      this.firstReused[request] = reusedTokens;
    }
    if (reusedTokens > this.reused[request]!) this.reused[request] = reusedTokens;
    const detail = this.details?.[request];
    if (detail === undefined) return;
    const before = detail.admissions.some((admission) => admission[0] === pool);
    detail.admissions.push([pool, nowMs, reusedTokens, before]);
    if (pool !== "agg") this.onTime(request, `${pool}_admit_ms`, nowMs);
  }

  /** A request is given to a worker. */
  onRouting(request: number, pool: Pool, worker: number, rank: number, overlapTokens: number): void {
    this.details?.[request]?.routing.push([pool, worker, rank, overlapTokens]);
  }

  /** Something happened to a request, perhaps again. */
  onTime(request: number, name: string, nowMs: number): void {
    const times = this.details?.[request]?.times;
    if (times !== undefined && !times.has(name)) times.set(name, nowMs);
  }

  /** A client gets a token. */
  onToken(request: number, nowMs: number): void {
    const count = ++this.outputs[request]!;
    if (count === 1) {
      this.firstToken[request] = nowMs;
    } else {
      if (count === 2) this.secondToken[request] = nowMs;
      const gap = nowMs - this.lastToken[request]!;
      if (this.#openGaps === undefined) this.#count(gap);
      else this.#keep(request, gap);
    }
    this.lastToken[request] = nowMs;
  }

  /** A request is over. */
  onEnd(request: number, nowMs: number, outcome: Outcome): void {
    this.#outcomes[request] = OUTCOMES.indexOf(outcome);
    this.terminal[request] = nowMs;
    if (this.#openGaps === undefined) return;
    if (outcome === "completed") { for (const gap of this.#openGaps.get(request) ?? []) this.#count(gap); }
    this.#openGaps.delete(request);
  }

  /** Must be called before the sketches are read. */
  finish(): void {
    this.#addGaps(0);
  }

  #keep(request: number, gap: number): void {
    const gaps = this.#openGaps!.get(request);
    if (gaps === undefined) this.#openGaps!.set(request, [gap]);
    else gaps.push(gap);
  }

  #count(gap: number): void {
    // In one pass nearly all requests have the same gap.
    if (gap !== this.#gap) this.#addGaps(gap);
    this.#gapTimes++;
  }

  #addGaps(next: number): void {
    if (this.#gapTimes > 0) {
      this.gaps.add(this.#gap, this.#gapTimes);
      if (this.#gap > 0) this.rates.add(1000 / this.#gap, this.#gapTimes);
    }
    this.#gap = next;
    this.#gapTimes = 0;
  }
}
