/**
 * How often each block is stored, so that its removal is told once.
 *
 * @module
 */
import type { KvChange } from "./change.ts";

/**
 * Counts stores of each block by rank and place. It grows with the blocks the engine holds, and shrinks as they are
 * removed or cleared.
 *
 * @source dynamo-llm 1.6.1, KV event publisher: deduplication
 */
export class BlockCounts {
  readonly #ranks = new Map<number, Map<string, Map<bigint, number>>>();

  /** Blocks counted at present, in all ranks and places. */
  get size(): number {
    let size = 0;
    for (const tiers of this.#ranks.values()) for (const counts of tiers.values()) size += counts.size;
    return size;
  }

  /**
   * What of a change routers have to know; `null` if nothing. Stores always pass; of removals only the blocks whose
   * last store it undoes, and blocks that were never counted.
   */
  pass(change: KvChange): KvChange | null {
    const { data, dpRank, tier } = change;
    if (data === "cleared") {
      this.#ranks.delete(dpRank);
      return change;
    }
    const counts = this.#counts(dpRank, tier);
    if ("stored" in data) {
      for (const { block_hash } of data.stored.blocks) counts.set(block_hash, (counts.get(block_hash) ?? 0) + 1);
      return change;
    }
    const gone = data.removed.block_hashes.filter((hash) => {
      const left = (counts.get(hash) ?? 1) - 1;
      if (left > 0) counts.set(hash, left);
      else counts.delete(hash);
      return left === 0;
    });
    if (gone.length === data.removed.block_hashes.length && gone.length > 0) return change;
    return gone.length === 0 ? null : { ...change, data: { removed: { block_hashes: gone } } };
  }

  #counts(rank: number, tier: string): Map<bigint, number> {
    const tiers = this.#ranks.get(rank) ?? new Map<string, Map<bigint, number>>();
    const counts = tiers.get(tier) ?? new Map<bigint, number>();
    tiers.set(tier, counts);
    this.#ranks.set(rank, tiers);
    return counts;
  }
}
