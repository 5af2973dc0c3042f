/**
 * The blocks of a traced request under the names that routers and the peer give them.
 *
 * @module
 */
import type { BlockSequence } from "../sequence.ts";
import type { TracedTokens } from "./trace_sequence.ts";

/**
 * Names blocks of one size, each for itself and all before.
 *
 * @param tokens Whole blocks.
 * @param parent The name of the block before them; `null`: they are the first.
 */
export type HashBlocks = (tokens: Uint32Array, parent: bigint | null) => BigUint64Array;

/** Makes the tokens of the trace and names their blocks. Slower than a `TraceSequence`; the names are in the peer's order. */
export class HashedSequence implements BlockSequence {
  hashes: Uint32Array;
  readonly #tokens: TracedTokens;
  readonly #blockSize: number;
  readonly #hashBlocks: HashBlocks;
  readonly #wide: BigUint64Array<ArrayBuffer>;
  #done = 0;

  /** Makes the sequence for a cache with blocks of `blockSize` tokens. */
  constructor(tokens: TracedTokens, blockSize: number, hashBlocks: HashBlocks) {
    this.#tokens = tokens;
    this.#blockSize = blockSize;
    this.#hashBlocks = hashBlocks;
    this.#wide = new BigUint64Array(Math.floor((tokens.promptTokens + tokens.maxOutputTokens) / blockSize));
    this.hashes = new Uint32Array(this.#wide.buffer);
  }

  hashThrough(blocks: number): void {
    const from = this.#done;
    if (blocks <= from) return;
    const first = from * this.#blockSize;
    const tokens = Uint32Array.from({ length: (blocks - from) * this.#blockSize }, (_, i) => this.#tokenAt(first + i));
    this.#wide.set(this.#hashBlocks(tokens, from === 0 ? null : this.#wide[from - 1]!), from);
    this.#done = blocks;
  }

  #tokenAt(place: number): number {
    const { blocks, traceBlockSize, promptTokens, outputTokenIds, nonce } = this.#tokens;
    if (place < promptTokens) return blocks[Math.floor(place / traceBlockSize)]!;
    // Without planned ids no other request has the same answer.
    return outputTokenIds?.[place - promptTokens] ?? ~(nonce * ANSWER_STRIDE + place) >>> 0;
  }
}

const ANSWER_STRIDE = 0x9e3779b1;
