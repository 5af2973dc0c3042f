/**
 * Virtual time: events in order, and the time between them.
 *
 * @module
 */
import { BinaryHeap } from "./binary_heap.ts";
import type { WorkerPool } from "./worker_pool.ts";

const PASS_END = 0;
const TRANSFER_END = 1;

interface Event {
  readonly atMs: number;
  readonly kind: typeof PASS_END | typeof TRANSFER_END;
  /** Among events of the same kind at the same time. */
  readonly order: number;
  readonly pool: WorkerPool | undefined;
  /** Worker whose pass ends, or request whose prompt has arrived. */
  readonly subject: number;
}

/** Events to come. At one time passes end first, then transfers. */
export class VirtualClock {
  readonly #events = new BinaryHeap<Event>(isBefore);
  /** The time that it is. @unit milliseconds */
  nowMs = 0;

  /** When the next event is due. @unit milliseconds */
  get nextMs(): number {
    return this.#events.peek()?.atMs ?? Infinity;
  }

  /** Notes the end of a pass. */
  addPassEnd(atMs: number, pool: WorkerPool, worker: number): void {
    const stage = pool.name === "decode" ? pool.workers.length : 0;
    this.#events.push({ atMs, kind: PASS_END, order: stage + worker, pool, subject: worker });
  }

  /** Notes the end of a transfer; those noted first come first. */
  addTransferEnd(atMs: number, request: number, order: number): void {
    this.#events.push({ atMs, kind: TRANSFER_END, order, pool: undefined, subject: request });
  }

  /** Takes the next pass that ends now. */
  takePassEnd(): { readonly pool: WorkerPool; readonly worker: number } | undefined {
    const event = this.#take(PASS_END);
    return event === undefined ? undefined : { pool: event.pool!, worker: event.subject };
  }

  /** Takes the next request whose transfer ends now. */
  takeTransferEnd(): number | undefined {
    return this.#take(TRANSFER_END)?.subject;
  }

  #take(kind: Event["kind"]): Event | undefined {
    const event = this.#events.peek();
    if (event === undefined || event.atMs !== this.nowMs || event.kind !== kind) return undefined;
    return this.#events.pop();
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.kind !== b.kind ? a.kind < b.kind : a.order < b.order;
}
