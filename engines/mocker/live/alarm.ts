/**
 * Something that happens at a time, unless it is called off.
 *
 * @module
 */
import type { EngineClock } from "@stator/worker";

/** One alarm at a time. */
export class Alarm {
  readonly #clock: EngineClock;
  #stop: AbortController | undefined;

  /** Makes an alarm that is not set. */
  constructor(clock: EngineClock) {
    this.#clock = clock;
  }

  /** Sets it, instead of what it was set to. @param time Of the clock. @unit milliseconds */
  set(time: number, ring: () => void): void {
    this.clear();
    const stop = this.#stop = new AbortController();
    this.#clock.sleepUntil(time, stop.signal).then(() => {
      if (!stop.signal.aborted) ring();
    });
  }

  /** Calls it off. */
  clear(): void {
    this.#stop?.abort();
    this.#stop = undefined;
  }
}
