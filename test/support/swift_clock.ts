/**
 * Virtual time for long runs: one turn of the event loop for each time at which something happens.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../src/platform/platform.ts";

interface PendingTimer {
  readonly dueAt: number;
  readonly fire: () => void;
}

/** A clock that jumps to the next timer whenever all promises have settled. It is for few timers at a time. */
export class SwiftClock implements Clock {
  readonly isBusy = false;
  #now = 0;
  readonly #timers = new Set<PendingTimer>();
  #turn: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  timer(delayMs: number, fire: () => void): Disposable {
    const timer = { dueAt: this.#now + Math.max(0, delayMs), fire };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  endOfTurn(run: () => void): void {
    this.#turn.push(run);
  }

  laterTurn(run: () => void, withinMs: number): void {
    this.timer(withinMs, run);
  }

  /** Lets time pass until nothing is left to wait for. */
  async run(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#turn.length > 0) {
        const runs = this.#turn;
        this.#turn = [];
        for (const each of runs) each();
        continue;
      }
      let next: PendingTimer | undefined;
      for (const timer of this.#timers) if (next === undefined || timer.dueAt < next.dueAt) next = timer;
      if (next === undefined) return;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.fire();
    }
  }
}
