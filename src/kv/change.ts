/**
 * What happened to the blocks of a cache, before it becomes an event.
 *
 * @module
 */
import type { StoredTokens } from "../engine/kv_source.ts";
import { BlockHasher, sequenceHashes } from "../protocol/block_hash.ts";
import type { KvEventData, StorageTier, StoredBlock, StoredData } from "../protocol/kv_event.ts";

/** One change of a rank's cache. */
export interface KvChange {
  /** What happened. */
  readonly data: KvEventData;
  /** Where the blocks lie; `cleared` is about all places. */
  readonly tier: StorageTier;
  /** The rank. */
  readonly dpRank: number;
  /** Session of the request that stored the blocks. */
  readonly sessionId?: string;
}

/** Blocks ready to be published, and how many of the engine's could not be. */
export interface HashedBlocks {
  /** What to publish; without blocks if the first was not full. */
  readonly stored: StoredData;
  /** Blocks left out, of which someone should be told. */
  readonly left: number;
}

/**
 * Hashes the blocks that an engine stored.
 *
 * @throws {RangeError} If a token id is no unsigned 32-bit integer.
 * @source dynamo-llm 1.6.1, KV event publisher: `create_stored_blocks`
 */
export function hashStored(input: StoredTokens, blockSize: number): HashedBlocks {
  const hasher = new BlockHasher(blockSize, input);
  const { numBlockTokens, mmInfos = [] } = input;
  const local = hasher.localHashes(input.tokenIds, mmInfos);
  const parent = orNegative(input.parentHash ?? null);
  const names = input.blockHashes ?? sequenceHashes(local, parent);
  const announced = Math.min(names.length, numBlockTokens?.length ?? names.length);
  const short = numBlockTokens?.findIndex((count) => count !== blockSize) ?? -1;
  const full = Math.min(announced, local.length, short < 0 ? announced : short);
  const blocks: StoredBlock[] = [];
  for (let i = 0; i < full; i++) {
    blocks.push({
      block_hash: BigInt.asUintN(64, names[i]!),
      tokens_hash: local[i]!,
      mm_extra_info: mmInfos[i] ?? null,
    });
  }
  const stored = { parent_hash: parent, start_position: input.startPosition ?? null, blocks };
  return { stored, left: names.length - full };
}

function orNegative(hash: bigint | null): bigint | null {
  return hash === null ? null : BigInt.asUintN(64, hash);
}
