/**
 * Numbers that look random and are the same in every run.
 *
 * @module
 */

/** A source of them. */
export interface PseudoRandom {
  /** An integer from 0 to below `limit`. */
  below(limit: number): number;
  /** An unsigned 64-bit integer. */
  u64(): bigint;
}

/** Starts a source; the same seed gives the same numbers. */
export function pseudoRandom(seed: number): PseudoRandom {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    below: (limit) => Math.floor((next() / 2 ** 32) * limit),
    u64: () => (BigInt(next()) << 32n) | BigInt(next()),
  };
}
