/**
 * Stop strings in a growing text.
 *
 * @module
 */

/** What can be shown after some text came. */
export interface StopResult {
  /** Text that is certainly not the beginning of a stop string. */
  readonly text: string;
  /** Whether a stop string was found; it and what follows are not part of the text. */
  readonly isStopped: boolean;
}

/** Finds the first of some strings in a text that comes in pieces; the beginning of a match is held back. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";

  /**
   * Starts a text.
   *
   * @param stops The strings; empty ones are ignored.
   */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Adds text. */
  push(text: string): StopResult {
    if (this.#stops.length === 0) return { text, isStopped: false };
    const all = this.#held + text;
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#held = "";
      return { text: all.slice(0, Math.min(...found)), isStopped: true };
    }
    const held = Math.max(...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - held);
    return { text: all.slice(0, all.length - held), isStopped: false };
  }

  /** What was held back, when no more text comes. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`, but not all of it. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (stop.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}
