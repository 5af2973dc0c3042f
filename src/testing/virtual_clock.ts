/**
 * Time that skips what nobody works in.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";

interface Entry {
  readonly dueAt: number;
  readonly order: number;
  readonly fire: () => void;
  /** Whether time may be skipped up to it; a deadline is only met on the way. */
  readonly isWaitedFor: boolean;
}

/** Turns of the event loop in which nothing becomes due, until the rest of the wait is skipped. */
const IDLE_TURNS = 2;

/**
 * Goes like another clock, but jumps to the next timer as soon as nothing else is ready, so that an engine which waits
 * by this clock for an hour is done at once, in the same order.
 *
 * It cannot see work that other means wait for, such as sockets, processes or `setTimeout`: seen from these, time flies.
 * Disposing it drops all its timers.
 */
export class VirtualClock implements Clock, Disposable {
  readonly #clock: Clock;
  readonly #entries = new Map<Entry, Disposable | null>();
  #skipped = 0;
  /** Keeps rounding from putting the time of a timer that fires before its due time. */
  #least = -Infinity;
  #order = 0;
  #isWatching = false;
  #isDisposed = false;

  /** Makes a clock that shows what `clock` shows, until it skips. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @inheritDoc */
  now(): number {
    return Math.max(this.#least, this.#clock.now() + this.#skipped);
  }

  /** @inheritDoc */
  wallTime(): number {
    return this.#clock.wallTime() + this.#skipped;
  }

  /** @inheritDoc */
  timer(delayMs: number, fire: () => void): Disposable {
    return this.#add(delayMs, fire, true);
  }

  /** A timer that time is not skipped for: it fires when that much has really passed, or was skipped for a timer. */
  deadline(delayMs: number, fire: () => void): Disposable {
    return this.#add(delayMs, fire, false);
  }

  /** @inheritDoc */
  endOfTurn(run: () => void): void {
    this.#clock.endOfTurn(run);
  }

  /** @inheritDoc */
  laterTurn(run: () => void, withinMs: number): void {
    this.#clock.laterTurn(run, withinMs);
  }

  /** @inheritDoc */
  get isBusy(): boolean {
    return this.#clock.isBusy;
  }

  /** Drops all timers and deadlines, and takes no new ones. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const entry of [...this.#entries.keys()]) this.#remove(entry);
  }

  #add(delayMs: number, fire: () => void, isWaitedFor: boolean): Disposable {
    const delay = Math.max(0, delayMs);
    const entry: Entry = { dueAt: this.now() + delay, order: this.#order++, fire, isWaitedFor };
    if (!this.#isDisposed) {
      this.#entries.set(entry, isWaitedFor ? null : this.#clock.timer(delay, () => this.#ring(entry)));
      if (isWaitedFor) this.#watch();
    }
    return { [Symbol.dispose]: () => this.#remove(entry) };
  }

  #remove(entry: Entry): boolean {
    this.#entries.get(entry)?.[Symbol.dispose]();
    return this.#entries.delete(entry);
  }

  #ring(entry: Entry): void {
    if (this.#remove(entry)) entry.fire();
  }

  /** Waits for idle turns, then skips. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    let left = IDLE_TURNS;
    const turn = () => {
      if (--left > 0) return this.#clock.endOfTurn(turn);
      this.#isWatching = false;
      this.#skip();
    };
    this.#clock.endOfTurn(turn);
  }

  #skip(): void {
    const entries = [...this.#entries.keys()].sort((a, b) => a.dueAt - b.dueAt || a.order - b.order);
    // A deadline that lies before the next timer is met first, and gets its turns.
    const [next] = entries;
    if (next === undefined || !entries.some((entry) => entry.isWaitedFor)) return;
    this.#skipped += Math.max(0, next.dueAt - this.now());
    this.#least = Math.max(this.#least, next.dueAt);
    const now = this.now();
    for (const entry of entries) {
      if (entry.dueAt <= now) this.#ring(entry);
    }
    if ([...this.#entries.keys()].some((entry) => entry.isWaitedFor)) this.#watch();
  }
}
