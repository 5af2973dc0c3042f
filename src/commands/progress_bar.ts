/**
 * How far a long command is, on standard error.
 *
 * @module
 */
import type { Platform } from "../platform/platform.ts";

/** Pause between two looks at the bar, and before the first. @unit milliseconds */
const EVERY_MS = 1000;
/** The same where each look is a line that stays. @unit milliseconds */
const LINE_EVERY_MS = 10_000;
const WIDTH = 32;
/** Moves to the beginning of the line above and clears it. */
const UP_AND_CLEAR = "\x1b[1A\x1b[2K";

/** A bar with the time that is left. A short command never shows it. */
export class ProgressBar {
  readonly #platform: Platform;
  readonly #what: string;
  readonly #begun: number;
  #told: number;
  #isShown = false;

  /** Begins now. @param what What is counted, in the plural. */
  constructor(platform: Platform, what: string) {
    this.#platform = platform;
    this.#what = what;
    this.#begun = this.#told = platform.clock.now();
  }

  /** Takes how many are done; shows that now and then. */
  readonly update = (done: number, all: number): void => {
    const now = this.#platform.clock.now();
    if (now - this.#told < (this.#platform.process.isErrorTerminal === true ? EVERY_MS : LINE_EVERY_MS)) return;
    this.#told = now;
    const left = done === 0 ? "" : `, ${duration((now - this.#begun) * (all - done) / done)} left`;
    this.#show(done, all, left);
  };

  /** Shows that all is done, if anything was shown. */
  finish(done: number, all: number): void {
    if (!this.#isShown) return;
    this.#show(done, all, ` in ${duration(this.#platform.clock.now() - this.#begun)}`);
  }

  #show(done: number, all: number, rest: string): void {
    const { process } = this.#platform;
    const share = all === 0 ? 1 : done / all;
    const bar = "#".repeat(Math.floor(WIDTH * share)).padEnd(WIDTH, ".");
    const percent = `${Math.floor(100 * share)}`.padStart(3);
    // Where lines cannot be taken back, each look is a line of its own.
    const before = this.#isShown && process.isErrorTerminal === true ? UP_AND_CLEAR : "";
    process.printError(`${before}[${bar}] ${percent} %  ${done} of ${all} ${this.#what}${rest}`);
    this.#isShown = true;
  }
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const padded = (value: number) => `${value}`.padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${padded(seconds % 60)} min`;
  return `${Math.floor(seconds / 3600)}:${padded(Math.floor(seconds / 60) % 60)} h`;
}
