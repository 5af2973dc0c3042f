/**
 * The blocks of a traced request, without its tokens.
 *
 * @module
 */
import type { BlockSequence } from "../sequence.ts";

/** What a sequence is made of. */
export interface TracedTokens {
  /** Block names of the prompt; each stands for `traceBlockSize` equal tokens. */
  readonly blocks: Uint32Array;
  /** Tokens of one name. @unit tokens */
  readonly traceBlockSize: number;
  /** Length of the prompt. @unit tokens */
  readonly promptTokens: number;
  /** Longest answer. @unit tokens */
  readonly maxOutputTokens: number;
  /** Ids of the answer, if planned; without them no other request has the same answer. */
  readonly outputTokenIds?: readonly number[] | undefined;
  /** Differs from request to request. */
  readonly nonce: number;
}

const ANSWER = 0x9e3779b9;

/** Names blocks by a 64-bit mix of what is in them and all before. */
export class TraceSequence implements BlockSequence {
  hashes: Uint32Array;
  readonly #tokens: TracedTokens;
  readonly #blockSize: number;
  #done = 0;

  /** Makes the sequence for a cache with blocks of `blockSize` tokens. */
  constructor(tokens: TracedTokens, blockSize: number) {
    this.#tokens = tokens;
    this.#blockSize = blockSize;
    this.hashes = new Uint32Array(2 * Math.floor((tokens.promptTokens + tokens.maxOutputTokens) / blockSize));
  }

  hashThrough(blocks: number): void {
    if (blocks <= this.#done) return;
    const { hashes } = this;
    let low = this.#done === 0 ? 0 : hashes[2 * this.#done - 2]!;
    let high = this.#done === 0 ? 0 : hashes[2 * this.#done - 1]!;
    for (let block = this.#done; block < blocks; block++) {
      const content = this.#content(block);
      low = mixed(low ^ Math.imul(content, 0xcc9e2d51));
      high = mixed((high ^ Math.imul(content + 0x3c6ef372, 0x1b873593)) + low);
      hashes[2 * block] = low;
      hashes[2 * block + 1] = high;
    }
    this.#done = blocks;
  }

  /** A number for the tokens of a block: the same for the same tokens. */
  #content(block: number): number {
    const { promptTokens, outputTokenIds, nonce, traceBlockSize, blocks } = this.#tokens;
    const from = block * this.#blockSize;
    const to = from + this.#blockSize;
    if (to > promptTokens && outputTokenIds === undefined) {
      return run(run(ANSWER, nonce, 1), block, 1);
    }
    let content = 0;
    let token = from;
    while (token < to) {
      const id = token < promptTokens
        ? blocks[Math.floor(token / traceBlockSize)]!
        : outputTokenIds![token - promptTokens]!;
      const start = token;
      while (token < to && this.#idAt(token) === id) token = this.#endOfRun(token, to);
      content = run(content, id, token - start);
    }
    return content;
  }

  #idAt(token: number): number {
    const { promptTokens, outputTokenIds, traceBlockSize, blocks } = this.#tokens;
    return token < promptTokens ? blocks[Math.floor(token / traceBlockSize)]! : outputTokenIds![token - promptTokens]!;
  }

  /** The first token after the equal ones that one name stands for. */
  #endOfRun(token: number, limit: number): number {
    const { promptTokens, traceBlockSize } = this.#tokens;
    if (token >= promptTokens) return token + 1;
    return Math.min(limit, promptTokens, (Math.floor(token / traceBlockSize) + 1) * traceBlockSize);
  }
}

function run(content: number, id: number, length: number): number {
  return mixed(Math.imul(content, 31) ^ mixed(id + Math.imul(length, 0x85ebca6b)));
}

function mixed(value: number): number {
  let bits = value ^ (value >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
