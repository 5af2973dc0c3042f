/**
 * Virtual time of a simulated world: one queue of everything that is going to happen.
 *
 * @module
 */
import type { Clock } from "../../platform/platform.ts";

/** Something that is going to happen. */
interface Entry {
  readonly at: number;
  readonly order: number;
  readonly owner: string;
  readonly fire: () => void;
  isCancelled: boolean;
}

/**
 * Happenings, one after the other in the order of their times. Before each of them everything that the last one set off
 * in memory is done, and no time passes for it.
 */
export class Timeline {
  readonly #heap: Entry[] = [];
  readonly #pending = new Map<string, number>();
  #now = 0;
  #order = 0;
  #steps = 0;

  /** Time since the world began. @unit milliseconds, fractional */
  get now(): number {
    return this.#now;
  }

  /** Happenings so far. */
  get steps(): number {
    return this.#steps;
  }

  /** What is pending of an owner's. */
  pendingOf(owner: string): number {
    return this.#pending.get(owner) ?? 0;
  }

  /** Lets something happen later; disposing it first prevents that. @param delayMs Time until then, in milliseconds. */
  after(delayMs: number, fire: () => void, owner: string): Disposable {
    const at = this.#now + Math.max(0, delayMs);
    const entry: Entry = { at, order: this.#order++, owner, fire, isCancelled: false };
    this.#push(entry);
    this.#count(owner, 1);
    return {
      [Symbol.dispose]: () => {
        if (entry.isCancelled) return;
        entry.isCancelled = true;
        this.#count(owner, -1);
      },
    };
  }

  /**
   * Lets time pass until `isOver` says so, nothing is left to happen, or `limitMs` is reached.
   *
   * @param clock A clock whose turns tell that promises have settled; it is asked nothing else.
   * @returns Whether `isOver` said so.
   */
  run(clock: Clock, isOver: () => boolean, limitMs: number): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const step = (): void => {
      try {
        if (isOver()) return resolve(true);
        const next = this.#next(limitMs);
        if (next === null) return resolve(false);
        this.#now = Math.max(this.#now, next.at);
        this.#steps++;
        next.fire();
        clock.endOfTurn(step);
      } catch (error) {
        reject(error);
      }
    };
    clock.endOfTurn(step);
    return promise;
  }

  #next(limitMs: number): Entry | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || (first.at > limitMs && !first.isCancelled)) return null;
      this.#pop();
      if (first.isCancelled) continue;
      first.isCancelled = true;
      this.#count(first.owner, -1);
      return first;
    }
  }

  #count(owner: string, change: number): void {
    this.#pending.set(owner, this.pendingOf(owner) + change);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
