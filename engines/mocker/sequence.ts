/**
 * What a request's tokens are, as far as a cache has to know.
 *
 * @module
 */

/**
 * The blocks of one request, named by 64-bit hashes that each stand for a block and all before it.
 *
 * Two sequences share a block exactly if they have the same hash at the same place.
 */
export interface BlockSequence {
  /**
   * Sequence hash of block `i` at `2 * i` (low half) and `2 * i + 1` (high half). May be replaced when it grows.
   *
   * A `BigUint64Array` over its buffer reads the hashes as they travel on the wire.
   */
  hashes: Uint32Array;
  /** Makes sure that the first blocks are in `hashes`; they are full and their tokens known. */
  hashThrough(blocks: number): void;
}
