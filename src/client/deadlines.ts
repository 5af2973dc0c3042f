/**
 * Many waits of one length on one timer.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";

interface Deadline extends Disposable {
  readonly due: number;
  readonly expire: () => void;
}

/** Waits that all last equally long, so the oldest is due first. No timer runs while nothing waits. */
export class Deadlines implements Disposable {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #waiting = new Set<Deadline>();
  #timer: Disposable | null = null;

  /**
   * Makes the timer of a kind of wait.
   *
   * @param delayMs Length of every wait. @unit milliseconds
   */
  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  /** Calls `expire` once when the time is up; disposing the wait first prevents that. */
  add(expire: () => void): Disposable {
    const deadline: Deadline = {
      due: this.#clock.now() + this.#delayMs,
      expire,
      [Symbol.dispose]: () => {
        this.#waiting.delete(deadline);
        if (this.#waiting.size === 0) this.#stop();
      },
    };
    this.#waiting.add(deadline);
    this.#timer ??= this.#clock.timer(this.#delayMs, () => this.#fire());
    return deadline;
  }

  /** Ends all waits without expiring them. */
  [Symbol.dispose](): void {
    this.#waiting.clear();
    this.#stop();
  }

  #fire(): void {
    this.#timer = null;
    const now = this.#clock.now();
    for (const deadline of this.#waiting) {
      // Timers may come a little early; what is due within the millisecond is due now.
      if (deadline.due > now + 1) {
        this.#timer ??= this.#clock.timer(deadline.due - now, () => this.#fire());
        return;
      }
      this.#waiting.delete(deadline);
      deadline.expire();
    }
  }

  #stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}
