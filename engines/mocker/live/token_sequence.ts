/**
 * The blocks of a request that has real tokens, named as routers name them.
 *
 * @module
 */
import { BlockHasher, type BlockHashOptions, sequenceHashes } from "@stator/worker/protocol";
import type { BlockSequence } from "../sequence.ts";

/** Blocks of a prompt and of the answer that grows behind it. Blocks are hashed when a scheduler asks for them. */
export class TokenSequence implements BlockSequence {
  hashes: Uint32Array;
  /** What is mixed into the hashes besides tokens. */
  readonly options: BlockHashOptions;
  readonly #hasher: BlockHasher;
  readonly #answerAt: (place: number) => number;
  readonly #promptTokens: number;
  #wide: BigUint64Array<ArrayBuffer>;
  #tokens: Uint32Array;
  #known: number;
  #hashed = 0;

  /**
   * Makes a sequence.
   *
   * @param answerAt What the cache takes for the token at a place of the answer, from 0.
   */
  constructor(prompt: Uint32Array, blockSize: number, options: BlockHashOptions, answerAt: (place: number) => number) {
    this.options = options;
    this.#hasher = new BlockHasher(blockSize, options);
    this.#answerAt = answerAt;
    this.#promptTokens = prompt.length;
    this.#tokens = prompt;
    this.#known = prompt.length;
    this.#wide = new BigUint64Array(Math.max(1, Math.ceil(prompt.length / blockSize)));
    this.hashes = new Uint32Array(this.#wide.buffer);
  }

  hashThrough(blocks: number): void {
    const from = this.#hashed;
    if (blocks <= from) return;
    const { blockSize } = this.#hasher;
    this.#makeKnown(blocks * blockSize);
    const local = this.#hasher.localHashes(this.#tokens.subarray(from * blockSize, blocks * blockSize));
    if (blocks > this.#wide.length) {
      const grown = new BigUint64Array(Math.max(blocks, 2 * this.#wide.length));
      grown.set(this.#wide);
      this.#wide = grown;
      this.hashes = new Uint32Array(grown.buffer);
    }
    this.#wide.set(sequenceHashes(local, this.parentOf(from)), from);
    this.#hashed = blocks;
  }

  /** The sequence hash of the block before one; `null` for the first. */
  parentOf(block: number): bigint | null {
    return block === 0 ? null : this.#wide[block - 1]!;
  }

  /** Sequence hashes of hashed blocks; valid until the next call of `hashThrough`. */
  hashesOf(first: number, count: number): BigUint64Array {
    return this.#wide.subarray(first, first + count);
  }

  /** Tokens of hashed blocks; valid until the next call of `hashThrough`. */
  tokensOf(first: number, count: number): Uint32Array {
    const { blockSize } = this.#hasher;
    return this.#tokens.subarray(first * blockSize, (first + count) * blockSize);
  }

  #makeKnown(tokens: number): void {
    if (tokens <= this.#known) return;
    if (tokens > this.#tokens.length) {
      const grown = new Uint32Array(Math.max(tokens, 2 * this.#tokens.length));
      grown.set(this.#tokens.subarray(0, this.#known));
      this.#tokens = grown;
    }
    for (; this.#known < tokens; this.#known++) {
      this.#tokens[this.#known] = this.#answerAt(this.#known - this.#promptTokens);
    }
  }
}
