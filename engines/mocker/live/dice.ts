/**
 * Numbers that look random and follow from what they are for.
 *
 * @module
 */

const GOLDEN = 0x9e3779b9;
const FNV_PRIME = 0x01000193;
const TWO_32 = 2 ** 32;

/** A number of 32 bits for a place of a stream; the same for the same seed and place. */
export function wordAt(seed: number, place: number): number {
  let word = seed ^ Math.imul(place + 1, GOLDEN);
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

/** Whether something with this probability happens at a place of a stream. */
export function happensAt(seed: number, place: number, probability: number): boolean {
  return probability > 0 && wordAt(seed, place) / TWO_32 < probability;
}

/** A seed that follows from another one and from tokens. */
export function seedOf(seed: number, tokens: Uint32Array): number {
  let word = wordAt(seed, tokens.length);
  for (const token of tokens) word = Math.imul(word ^ token, FNV_PRIME);
  return word >>> 0;
}
