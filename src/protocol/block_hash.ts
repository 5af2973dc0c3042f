/**
 * Hashes of token blocks, as routers compute them from a prompt.
 *
 * A local hash names the tokens of one block, a sequence hash names a block together with all before it.
 *
 * @module
 */
import { blake3Bytes } from "./checksum.ts";
import type { MmInfo } from "./kv_event.ts";
import { encodeText } from "./payload.ts";
import { Xxh3 } from "./xxh3.ts";

const BASE_SEED = 1337n;
const NO_NAME = "";
const UNSEEDED = new Xxh3(0n);
const NAMESPACE_SEEDED = new Xxh3(1n);
const BASE_SEEDED = new Xxh3(BASE_SEED);

/** What is mixed into the local hashes of a request besides its tokens. */
export interface BlockHashOptions {
  /** LoRA adapter; an empty name counts as none. */
  readonly loraName?: string | null;
  /** The request's cache salt, which keeps tenants apart; an empty one counts as none. */
  readonly cacheNamespace?: string | null;
  /**
   * Whether a block's hash also covers the token that follows it, as Eagle drafting needs.
   *
   * @default false
   */
  readonly isEagle?: boolean;
}

/** Hashes blocks of one size, adapter and namespace. Keep one for each; making it costs microseconds. */
export class BlockHasher {
  /** Tokens between the beginnings of two blocks. @unit tokens */
  readonly blockSize: number;
  /** Tokens a hash covers: one more than the block with Eagle. @unit tokens */
  readonly window: number;
  readonly #xxh3: Xxh3;

  /**
   * Prepares hashing.
   *
   * @throws {RangeError} If the block size is no positive integer.
   */
  constructor(blockSize: number, options: BlockHashOptions = {}) {
    if (!Number.isInteger(blockSize) || blockSize < 1) {
      throw new RangeError(`Cannot hash blocks of ${blockSize} tokens: a block has at least one`);
    }
    this.blockSize = blockSize;
    this.window = options.isEagle === true ? blockSize + 1 : blockSize;
    const seed = seedOf(options.loraName ?? NO_NAME, options.cacheNamespace ?? NO_NAME);
    this.#xxh3 = seed === BASE_SEED ? BASE_SEEDED : new Xxh3(seed);
  }

  /** How many complete blocks a number of tokens makes. */
  blocksIn(tokens: number): number {
    return Math.max(0, Math.floor((tokens - this.window + this.blockSize) / this.blockSize));
  }

  /**
   * The local hashes of all complete blocks; a short tail has none.
   *
   * @param mmInfos Multimodal content by block; blocks without an entry have none.
   * @throws {RangeError} If an id is no unsigned 32-bit integer.
   * @source dynamo-kv-router 1.6.1, `compute_block_hash_for_seq`
   */
  localHashes(
    tokens: Uint32Array | readonly number[],
    mmInfos: readonly (MmInfo | null | undefined)[] = [],
  ): BigUint64Array {
    const ids = tokens instanceof Uint32Array ? tokens : checkedIds(tokens);
    const bytes = new DataView(ids.buffer, ids.byteOffset, ids.byteLength);
    const hashes = new BigUint64Array(this.blocksIn(ids.length));
    const halves = new Int32Array(hashes.buffer);
    for (let block = 0; block < hashes.length; block++) {
      const info = mmInfos[block] ?? null;
      const start = block * this.blockSize;
      if (info === null) this.#xxh3.hashInto(bytes, 4 * start, 4 * this.window, halves, 2 * block);
      else hashes[block] = this.#withMm(ids.subarray(start, start + this.window), info);
    }
    return hashes;
  }

  #withMm(ids: Uint32Array, info: MmInfo): bigint {
    const hashes = BigUint64Array.from(info.mm_objects, (object) => object.mm_hash).sort();
    const bytes = new Uint8Array(ids.byteLength + hashes.byteLength);
    bytes.set(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
    bytes.set(new Uint8Array(hashes.buffer), ids.byteLength);
    return this.#xxh3.hash(bytes);
  }
}

/**
 * The sequence hashes of consecutive blocks.
 *
 * @param local Their local hashes.
 * @param parent Sequence hash of the block before the first; `null` at the beginning of a sequence.
 * @source dynamo-kv-router 1.6.1, `compute_seq_hash_for_block`
 */
export function sequenceHashes(local: BigUint64Array, parent: bigint | null = null): BigUint64Array {
  const hashes = new BigUint64Array(local.length);
  if (local.length === 0) return hashes;
  hashes[0] = nextSequenceHash(parent, local[0]!);
  const localHalves = new Int32Array(local.buffer, local.byteOffset, 2 * local.length);
  const halves = new Int32Array(hashes.buffer);
  for (let at = 2; at < halves.length; at += 2) {
    PAIR[0] = halves[at - 2]!;
    PAIR[1] = halves[at - 1]!;
    PAIR[2] = localHalves[at]!;
    PAIR[3] = localHalves[at + 1]!;
    BASE_SEEDED.hashInto(PAIR_BYTES, 0, 16, halves, at);
  }
  return hashes;
}

/** The sequence hash of the block after the one whose sequence hash is `parent`; `null` makes it the first. */
export function nextSequenceHash(parent: bigint | null, local: bigint): bigint {
  if (parent === null) return local;
  PAIR_BYTES.setBigUint64(0, parent, true);
  PAIR_BYTES.setBigUint64(8, local, true);
  BASE_SEEDED.hashInto(PAIR_BYTES, 0, 16, PAIR, 0);
  return PAIR_BYTES.getBigUint64(0, true);
}

/** A parent's and a block's hash, which are hashed together. */
const PAIR = new Int32Array(4);
const PAIR_BYTES = new DataView(PAIR.buffer);

/**
 * The number that stands for a LoRA adapter where an engine wants one.
 *
 * @source dynamo-llm 1.6.1, `lora_name_to_id`: the first 8 bytes of BLAKE3, big-endian, cut to 31 bits, never 0
 */
export function loraId(name: string): number {
  const digest = blake3Bytes(encodeText(name));
  const low = new DataView(digest.buffer, digest.byteOffset).getUint32(4) & 0x7fff_ffff;
  return low === 0 ? 1 : low;
}

function seedOf(loraName: string, cacheNamespace: string): bigint {
  let seed = BASE_SEED;
  if (loraName !== NO_NAME) seed += UNSEEDED.hash(encodeText(loraName));
  if (cacheNamespace !== NO_NAME) seed += NAMESPACE_SEEDED.hash(encodeText(cacheNamespace));
  return BigInt.asUintN(64, seed);
}

function checkedIds(tokens: readonly number[]): Uint32Array {
  const ids = new Uint32Array(tokens.length);
  for (let i = 0; i < ids.length; i++) {
    const id = tokens[i]!;
    if (id >>> 0 !== id) throw new RangeError(`Cannot hash token id ${id}: not an unsigned 32-bit integer`);
    ids[i] = id;
  }
  return ids;
}
