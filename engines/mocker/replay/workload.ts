/**
 * Who arrives when.
 *
 * @source aisimulate-core 0.13.0, `loadgen/driver.rs`, `WorkloadDriver`
 * @module
 */
import { BinaryHeap } from "./binary_heap.ts";
import type { Trace, TraceRow } from "./trace.ts";

/** How requests are let in. */
export interface WorkloadOptions {
  /** Sessions in flight at a time, timestamps ignored; none: the trace's timestamps. */
  readonly concurrency?: number | undefined;
  /** Divides timestamps and pauses; without effect on a fixed number in flight. @default 1 */
  readonly arrivalSpeedup?: number | undefined;
}

/** A request that may arrive. */
export interface ReadyTurn {
  /** From when on. @unit milliseconds */
  readonly readyMs: number;
  /** Which request. */
  readonly row: TraceRow;
}

/** The sessions of a trace, turn by turn. */
export class Workload {
  readonly #sessions: readonly (readonly TraceRow[])[];
  readonly #speedup: number;
  readonly #concurrency: number | undefined;
  readonly #next = new BinaryHeap<ReadyTurn>(isBefore);
  /** First turns in order of arrival, not yet in the heap. */
  readonly #starts: TraceRow[];
  #started = 0;
  #active = 0;
  #left: number;

  /**
   * Prepares a workload.
   *
   * @throws {RangeError} If an option is not positive.
   */
  constructor(trace: Trace, options: WorkloadOptions = {}) {
    const { concurrency, arrivalSpeedup = 1 } = options;
    if (!(arrivalSpeedup > 0 && arrivalSpeedup < Infinity)) {
      throw new RangeError(`Cannot speed arrivals up by ${arrivalSpeedup}: the ratio must be positive`);
    }
    if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency > 0)) {
      throw new RangeError(`Cannot keep ${concurrency} requests in flight: it must be a positive integer`);
    }
    this.#sessions = trace.sessions;
    // With a fixed number in flight the peer leaves pauses as they are.
    this.#speedup = concurrency === undefined ? arrivalSpeedup : 1;
    this.#concurrency = concurrency;
    this.#starts = trace.sessions.map((turns) => turns[0]!);
    if (concurrency === undefined) this.#starts.sort((a, b) => a.arrivalMs - b.arrivalMs || a.session - b.session);
    this.#left = trace.rows.length;
    this.#activate(0);
  }

  /** Whether all turns are over. */
  get isDone(): boolean {
    return this.#left === 0;
  }

  /** When the next turn may arrive, if that is known. @unit milliseconds */
  get nextMs(): number {
    return this.#next.peek()?.readyMs ?? Infinity;
  }

  /** The next turn that is due. */
  take(nowMs: number): ReadyTurn | undefined {
    if (this.nextMs > nowMs) return undefined;
    const turn = this.#next.pop()!;
    if (this.#concurrency === undefined) this.#activate(nowMs);
    return turn;
  }

  /** When a turn counts as arrived: at its time in the trace, or when it is let in. @unit milliseconds */
  arrivalOf({ readyMs }: ReadyTurn, nowMs: number): number {
    return this.#concurrency === undefined ? readyMs : nowMs;
  }

  /** A turn is over, so the next one of its session may come; after a failure none does. */
  end(row: TraceRow, nowMs: number, hasFailed: boolean): void {
    const turns = this.#sessions[row.session]!;
    this.#left -= hasFailed ? turns.length - row.turn : 1;
    const following = hasFailed ? undefined : turns[row.turn + 1];
    if (following !== undefined) {
      this.#next.push({ readyMs: nowMs + following.delayMs / this.#speedup, row: following });
    } else if (this.#concurrency !== undefined) {
      this.#active--;
      this.#activate(nowMs);
    }
  }

  /** Keeps the next first turn in the heap, or as many as may be in flight. */
  #activate(nowMs: number): void {
    if (this.#concurrency === undefined) {
      const row = this.#starts[this.#started++];
      if (row !== undefined) this.#next.push({ readyMs: row.arrivalMs / this.#speedup, row });
      return;
    }
    while (this.#active < this.#concurrency && this.#started < this.#starts.length) {
      this.#next.push({ readyMs: nowMs, row: this.#starts[this.#started++]! });
      this.#active++;
    }
  }
}

function isBefore(a: ReadyTurn, b: ReadyTurn): boolean {
  if (a.readyMs !== b.readyMs) return a.readyMs < b.readyMs;
  return a.row.session !== b.row.session ? a.row.session < b.row.session : a.row.turn < b.row.turn;
}
