/**
 * Blocks that are held for a while, told to routers and frontends as they come and go.
 *
 * @module
 */
import type { KvEventPublisher, KvEventSource, SnapshotPublisher, StoredTokens } from "./kv_source.ts";

/** Settings of {@linkcode KvBlocks}. */
export interface KvBlocksOptions {
  /** Blocks that the cache has. */
  readonly totalBlocks: number;
  /** The rank. @default 0 */
  readonly dpRank?: number;
}

/** Blocks with names, so that they can be taken back. */
export interface NamedBlocks extends StoredTokens {
  /** The engine's names of the blocks. */
  readonly blockHashes: readonly bigint[] | BigUint64Array;
}

/**
 * The cache of one rank, for engines that know when they store blocks and when they drop them: publishes both, and
 * reports how full the cache is whenever that changes. Without anybody to tell, it only counts.
 *
 * @example
 * ```ts
 * import { chunk, defineEngine, KvBlocks } from "@stator/worker";
 *
 * const blocks = new KvBlocks({ totalBlocks: 1000 });
 *
 * const engine = defineEngine({
 *   start: () => Promise.resolve({ model: "echo", kvCacheBlockSize: 16, totalKvBlocks: 1000 }),
 *   kvEventSources: () => [blocks.source],
 *   componentMetricsDpRanks: () => [blocks.dpRank],
 *   attachSnapshotPublisher: (publisher) => blocks.report(publisher),
 *   async *generate({ token_ids }) {
 *     using _held = blocks.store({ tokenIds: token_ids.subarray(0, 16), blockHashes: [1n] });
 *     yield chunk.stop();
 *   },
 *   cleanup() {},
 * });
 * ```
 */
export class KvBlocks {
  /** The rank. */
  readonly dpRank: number;
  /** To be returned by the engine's `kvEventSources`. */
  readonly source: KvEventSource;
  readonly #totalBlocks: number;
  #publisher: KvEventPublisher | null = null;
  #snapshots: SnapshotPublisher | null = null;
  #used = 0;

  /** Makes an empty cache. */
  constructor({ totalBlocks, dpRank = 0 }: KvBlocksOptions) {
    this.#totalBlocks = totalBlocks;
    this.dpRank = dpRank;
    this.source = { kind: "push", dpRank, onReady: (publisher) => void (this.#publisher = publisher) };
  }

  /** Blocks held. */
  get used(): number {
    return this.#used;
  }

  /** Takes the way to report; for the engine's `attachSnapshotPublisher`. */
  report(publisher: SnapshotPublisher): void {
    this.#snapshots = publisher;
    this.#count(0);
  }

  /**
   * Stores blocks until what it returns is disposed.
   *
   * @throws {RangeError} If a token id is no unsigned 32-bit integer; nothing is stored then.
   */
  store(blocks: NamedBlocks): Disposable {
    const { blockHashes, tier } = blocks;
    this.#publisher?.publishStored(blocks);
    this.#count(blockHashes.length);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#publisher?.publishRemoved(blockHashes, tier);
        this.#count(-blockHashes.length);
      },
    };
  }

  #count(blocks: number): void {
    this.#used += blocks;
    const [kvUsedBlocks, kvTotalBlocks] = [this.#used, this.#totalBlocks];
    this.#snapshots?.publish(this.dpRank, { kvUsedBlocks, kvTotalBlocks, gpuCacheUsage: kvUsedBlocks / kvTotalBlocks });
  }
}
