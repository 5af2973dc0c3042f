/**
 * A clock that moves only when told to.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../src/platform/platform.ts";

interface PendingTimer {
  readonly dueAt: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Virtual time. Monotonic time begins at 0. */
export class FakeClock implements Clock {
  /** Set by a test that wants turns to follow each other without a pause. */
  isBusy = false;
  #now = 0;
  #wallOffset: number;
  #order = 0;
  readonly #timers = new Set<PendingTimer>();
  #turn: (() => void)[] = [];

  /** Makes a clock whose wall time begins at `wallTime`. */
  constructor(wallTime = 1_800_000_000_000) {
    this.#wallOffset = wallTime;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now + this.#wallOffset;
  }

  timer(delayMs: number, fire: () => void): Disposable {
    const timer: PendingTimer = { dueAt: this.#now + Math.max(0, delayMs), order: this.#order++, fire };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  endOfTurn(run: () => void): void {
    if (this.#turn.length === 0) {
      setImmediate(() => {
        const runs = this.#turn;
        this.#turn = [];
        for (const each of runs) each();
      });
    }
    this.#turn.push(run);
  }

  laterTurn(run: () => void, withinMs: number): void {
    this.timer(withinMs, run);
  }

  /** Timers that were set and have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Lets that much time pass, firing each timer when it is due; what it sets off in memory is done before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (;;) {
      const next = [...this.#timers].filter((timer) => timer.dueAt <= end)
        .sort((a, b) => a.dueAt - b.dueAt || a.order - b.order)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.fire();
      await this.settle();
    }
    this.#now = end;
  }

  /** Lets time pass at once, as for a process that is stopped: every timer that became due fires late, at the end. */
  async pause(ms: number): Promise<void> {
    this.#now += ms;
    await this.advance(0);
  }

  /** Sets the wall clock; monotonic time does not notice. */
  jumpWallTime(ms: number): void {
    this.#wallOffset += ms;
  }

  /** Waits until what is ready has run: promises, and work put off to the end of the turn. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
