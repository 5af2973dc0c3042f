/**
 * What an invariant finds.
 *
 * @module
 */

/**
 * The promises of a worker.
 *
 * - `I1`: every accepted request gets exactly one terminal or typed error.
 * - `I2`: no token comes after a terminal; none is lost, duplicated or out of order.
 * - `I3`: the engine is told to stop within 1 s for every request known dead.
 * - `I4`: no slot, timer, socket or stream is left when the worker is idle.
 * - `I5`: registered is able to serve, and the other way round.
 * - `I6`: `cleanup` runs exactly once for a `start`, never while a stream runs before the deadline.
 * - `I7`: the exit code says why, in time.
 * - `I8`: everything is back where it was when the worker is gone.
 */
export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8";

/** One promise that was broken. */
export interface Violation {
  /** Which. */
  readonly invariant: Invariant;
  /** The request it happened to. */
  readonly id?: string;
  /** What was seen, and what should have been. */
  readonly message: string;
}

/** Makes violations of one invariant. */
export function violationsOf(
  invariant: Invariant,
): { add(message: string, id?: string): void; readonly found: Violation[] } {
  const found: Violation[] = [];
  return { found, add: (message, id) => void found.push({ invariant, message, ...(id === undefined ? {} : { id }) }) };
}
