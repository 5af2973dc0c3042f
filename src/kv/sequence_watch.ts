/**
 * Noticing messages that got lost on a socket without acknowledgements.
 *
 * @module
 */

/** What the number of a message says. */
export type SequenceNews =
  | { /** The next one, or the first seen. */ readonly kind: "next" }
  | {
    /** Some are missing in between. */
    readonly kind: "gap";
    /** First missing, where a replay should begin. */
    readonly from: bigint;
    /** How many are missing. */
    readonly missing: bigint;
  }
  | { /** The publisher began anew, so what it held before is gone. */ readonly kind: "restart" };

/** Watches the numbers of one publisher's live messages, which only ever grow by one. */
export class SequenceWatch {
  #last: bigint | null = null;

  /** The newest number seen; `null` before the first. */
  get last(): bigint | null {
    return this.#last;
  }

  /** Notes the number of a message that has arrived. */
  note(sequence: bigint): SequenceNews {
    const last = this.#last;
    this.#last = sequence;
    if (last === null || sequence === last + 1n) return { kind: "next" };
    return sequence > last ? { kind: "gap", from: last + 1n, missing: sequence - last - 1n } : { kind: "restart" };
  }
}
