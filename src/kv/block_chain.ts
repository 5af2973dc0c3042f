/**
 * The blocks of one sequence while it grows.
 *
 * @module
 */
import { type BlockHasher, sequenceHashes } from "../protocol/block_hash.ts";

/** Blocks that became complete, in order. */
export interface CompletedBlocks {
  /** Sequence hash of the block before the first; `null` at the beginning of the sequence. */
  readonly parent: bigint | null;
  /** Local hashes. */
  readonly local: BigUint64Array;
  /** Sequence hashes, which name the blocks. */
  readonly sequence: BigUint64Array;
}

/** Hashes a sequence as its tokens come. A token that completes no block costs a store into an array. */
export class BlockChain {
  readonly #hasher: BlockHasher;
  readonly #tail: Uint32Array;
  #count = 0;
  #parent: bigint | null;

  /** Starts a sequence, or goes on after a block whose sequence hash is `parent`. */
  constructor(hasher: BlockHasher, parent: bigint | null = null) {
    this.#hasher = hasher;
    this.#tail = new Uint32Array(hasher.window);
    this.#parent = parent;
  }

  /** Sequence hash of the newest complete block; `null` if there is none. */
  get parent(): bigint | null {
    return this.#parent;
  }

  /**
   * Adds tokens; `null` if no block became complete.
   *
   * Ids are taken as unsigned 32-bit integers; a wider one loses its upper bits.
   */
  append(tokens: Uint32Array | readonly number[]): CompletedBlocks | null {
    const length = this.#count + tokens.length;
    if (length < this.#hasher.window) {
      this.#tail.set(tokens, this.#count);
      this.#count = length;
      return null;
    }
    const all = new Uint32Array(length);
    all.set(this.#tail.subarray(0, this.#count));
    all.set(tokens, this.#count);
    const local = this.#hasher.localHashes(all);
    const completed = { parent: this.#parent, local, sequence: sequenceHashes(local, this.#parent) };
    const rest = all.subarray(local.length * this.#hasher.blockSize);
    this.#tail.set(rest);
    this.#count = rest.length;
    this.#parent = completed.sequence.at(-1)!;
    return completed;
  }
}
