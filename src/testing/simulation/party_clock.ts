/**
 * Time as one process of a simulated world sees it.
 *
 * @module
 */
import type { Clock } from "../../platform/platform.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { Timeline } from "./timeline.ts";

/** When simulated worlds begin. @unit milliseconds since the Unix epoch */
const EPOCH_MS = 1_800_000_000_000;
/** Timers of a busy machine come late. @unit milliseconds */
const MAX_LATENESS_MS = 0.3;
/** A turn of the event loop takes some time, so that code which waits by turns cannot stop the time. @unit milliseconds */
const TURN_MS = { min: 0.01, max: 0.06 } as const;
/** Turns this close together are busy, as on the real platform. @unit milliseconds */
const PAUSE_MS = 0.2;

/** The clock of one process; what it has pending is counted under its name. */
export class PartyClock implements Clock {
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #owner: string;
  #turn: (() => void)[] = [];
  #later: (() => void)[] = [];
  #laterTimer: Disposable | null = null;
  #turnEndedAt = -Infinity;
  #isBusy = false;

  /** Makes the clock of `owner`. */
  constructor(timeline: Timeline, random: SeededRandom, owner: string) {
    this.#timeline = timeline;
    this.#random = random;
    this.#owner = owner;
  }

  /** @inheritDoc */
  now(): number {
    return this.#timeline.now;
  }

  /** @inheritDoc */
  wallTime(): number {
    return EPOCH_MS + this.#timeline.now;
  }

  /** @inheritDoc */
  timer(delayMs: number, fire: () => void): Disposable {
    const lateness = this.#random.number() * MAX_LATENESS_MS;
    return this.#timeline.after(Math.max(0, delayMs) + lateness, fire, this.#owner);
  }

  /** @inheritDoc */
  endOfTurn(run: () => void): void {
    if (this.#turn.length === 0) {
      this.#isBusy = this.#timeline.now - this.#turnEndedAt < PAUSE_MS;
      this.#timeline.after(this.#random.between(TURN_MS.min, TURN_MS.max), this.#runTurn, this.#owner);
    }
    this.#turn.push(run);
  }

  /** @inheritDoc */
  laterTurn(run: () => void, withinMs: number): void {
    this.#later.push(run);
    this.#laterTimer ??= this.timer(withinMs, () => {
      this.#laterTimer = null;
      this.#runLater();
    });
  }

  /** @inheritDoc */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  readonly #runTurn = (): void => {
    const runs = this.#turn;
    this.#turn = [];
    for (const run of runs) run();
    this.#runLater();
    this.#turnEndedAt = this.#timeline.now;
  };

  #runLater(): void {
    const runs = this.#later;
    this.#later = [];
    for (const run of runs) run();
    if (this.#later.length > 0) return;
    this.#laterTimer?.[Symbol.dispose]();
    this.#laterTimer = null;
  }
}
