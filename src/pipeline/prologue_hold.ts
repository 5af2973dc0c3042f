/**
 * Holds prologues back for a moment, so that a request refused at once gets a refusing prologue.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";

/** Longest wait for the first item. @unit milliseconds */
const HOLD_MS = 50;

/**
 * The wait between a call home and its prologue.
 *
 * It is short and ends with {@linkcode release}, since a frontend kills requests whose prologue is out when their
 * instance leaves discovery.
 */
export class PrologueHold {
  readonly #clock: Clock;
  readonly #held = new Set<() => void>();
  readonly #opening = new Set<Disposable>();
  readonly #settledWaiters: (() => void)[] = [];
  #isReleased = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a request as calling home until it is disposed, which is when its prologue goes out. */
  open(): Disposable {
    const opening = {
      [Symbol.dispose]: () => {
        if (this.#opening.delete(opening) && this.#opening.size === 0) this.#settle();
      },
    };
    this.#opening.add(opening);
    return opening;
  }

  /** Resolves when no request is calling home. */
  settled(): Promise<void> {
    if (this.#opening.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settledWaiters.push(resolve));
  }

  #settle(): void {
    for (const resolve of this.#settledWaiters.splice(0)) resolve();
  }

  /** The first item if it comes in time, else `null`. @param isAwaited Whether only what comes at once is in time. */
  async wait<T>(first: Promise<T>, isAwaited = false): Promise<T | null> {
    if (this.#isReleased) return null;
    let letGo!: () => void;
    const late = new Promise<null>((resolve) => letGo = () => resolve(null));
    using _timer = this.#clock.timer(isAwaited ? 0 : HOLD_MS, letGo);
    this.#held.add(letGo);
    try {
      return await Promise.race([first, late]);
    } finally {
      this.#held.delete(letGo);
    }
  }

  /** Holds prologues again: the instance is back in discovery. */
  rearm(): void {
    this.#isReleased = false;
  }

  /** Lets every held prologue go, and holds none until {@linkcode rearm}. */
  release(): void {
    this.#isReleased = true;
    for (const letGo of this.#held) letGo();
  }
}
