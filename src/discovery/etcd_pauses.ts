/**
 * Pauses between attempts to reach etcd.
 *
 * @module
 */
import type { Random } from "../platform/platform.ts";

/** How far a pause may be off, so that the workers of a fleet do not all come back in the same moment. */
const SPREAD = 0.5;

/** Pauses that double from a first to a longest, each a quarter longer or shorter by chance. */
export class Pauses {
  readonly #random: Pick<Random, "number">;
  readonly #firstMs: number;
  readonly #longestMs: number;
  #nextMs: number;

  constructor(random: Pick<Random, "number">, firstMs: number, longestMs: number) {
    this.#random = random;
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
    this.#nextMs = firstMs;
  }

  /** The next pause. @unit milliseconds */
  next(): number {
    const pauseMs = this.#nextMs;
    this.#nextMs = Math.min(2 * pauseMs, this.#longestMs);
    return pauseMs * (1 + SPREAD * (this.#random.number() - 0.5));
  }

  /** Begins with the first again. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
