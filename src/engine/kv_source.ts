/**
 * What an engine tells routers about its KV cache.
 *
 * @module
 */
import type { BlockHashOptions } from "../protocol/block_hash.ts";
import type { MmInfo, StorageTier } from "../protocol/kv_event.ts";

/** Blocks that an engine stored, as tokens. */
export interface StoredTokens extends BlockHashOptions {
  /** Tokens of the blocks, from the first block's first on; with Eagle one token more than the blocks hold. */
  readonly tokenIds: Uint32Array | readonly number[];
  /**
   * The engine's names of the blocks; negative ones count as their two's complement.
   *
   * @default the sequence hashes, which is what a stock worker uses
   */
  readonly blockHashes?: readonly bigint[] | BigUint64Array;
  /** Name of the block before the first; `null` or absent at the beginning of a sequence. */
  readonly parentHash?: bigint | null;
  /**
   * Place of the first block in its sequence, from 0. With it routers do not have to know the block before.
   *
   * @default unknown
   */
  readonly startPosition?: number;
  /**
   * How many tokens each block holds. The first that is not full ends the list, since routers know full blocks only.
   *
   * @default all blocks are full
   */
  readonly numBlockTokens?: readonly number[];
  /** Multimodal content by block. */
  readonly mmInfos?: readonly (MmInfo | null)[];
  /**
   * Where the blocks lie.
   *
   * @default "device"
   */
  readonly tier?: StorageTier;
  /** Session of the request. */
  readonly sessionId?: string;
}

/** Stored blocks, as an item of a batch. */
export interface StoredItem extends StoredTokens {
  /** Tells it from the others. */
  readonly type: "stored";
}

/** Removed blocks, as an item of a batch. */
export interface RemovedItem {
  /** Tells it from the others. */
  readonly type: "removed";
  /** The engine's names of the blocks. */
  readonly blockHashes: readonly bigint[] | BigUint64Array;
  /**
   * Where the blocks lay.
   *
   * @default "device"
   */
  readonly tier?: StorageTier;
}

/** One item of a batch. */
export type KvItem = StoredItem | RemovedItem | { /** Tells it from the others. */ readonly type: "cleared" };

/**
 * What an engine publishes the blocks of one rank through. Calls return at once, and routers get the events in the order
 * of the calls; after the worker has stopped they do nothing.
 *
 * Routers match prompts with these blocks: publish a block once it can be reused, and remove it before it cannot. A
 * router that hears of a removed block forgets those behind it too, so an engine should evict the last blocks of a
 * sequence first.
 *
 * @source dynamo-llm 1.6.1, `KvEventPublisher`
 */
export interface KvEventPublisher {
  /** The rank. */
  readonly dpRank: number;
  /**
   * Publishes stored blocks.
   *
   * @throws {RangeError} If a token id is no unsigned 32-bit integer; nothing is published then.
   */
  publishStored(stored: StoredTokens): void;
  /** Publishes removed blocks. @param tier Where they lay, the device unless said otherwise. */
  publishRemoved(blockHashes: readonly bigint[] | BigUint64Array, tier?: StorageTier): void;
  /** Publishes that the rank holds nothing any more. */
  publishCleared(): void;
  /**
   * Publishes several changes in order. Neighbours that belong together become one event, so this is cheaper for
   * routers than single calls.
   *
   * @throws {RangeError} If a token id is no unsigned 32-bit integer; nothing of the batch is published then.
   */
  publishBatch(items: readonly KvItem[]): void;
}

/** Where the KV events of one data-parallel rank come from: the engine itself, or another process it runs. */
export type KvEventSource =
  | {
    /** The engine publishes. */
    readonly kind: "push";
    /** The rank. @default 0 */
    readonly dpRank?: number;
    /** Gets the publisher, before the first request comes; what it throws fails the start of the worker. */
    onReady(publisher: KvEventPublisher): void | Promise<void>;
  }
  | {
    /** An engine with a ZeroMQ PUB socket publishes, as vLLM and SGLang do. */
    readonly kind: "zmq";
    /** The rank; the engine has to stamp its batches with it. @default 0 */
    readonly dpRank?: number;
    /**
     * Where that socket listens, such as `tcp://127.0.0.1:5557`; vLLM's listens if its own endpoint has a `*`. With `*`
     * as host, as in `tcp://*:5557`, the worker listens, for an engine whose socket connects. Engines of several ranks
     * have a port for each: see `offsetEndpointPort`.
     */
    readonly endpoint: string;
    /** Its topic. @default "", all */
    readonly topic?: string;
    /**
     * Where batches that got lost can be asked for, such as `tcp://127.0.0.1:5558`: the `replay_endpoint` of vLLM. Those
     * from before the worker came are asked for, too.
     *
     * @default none, and what is lost is lost
     */
    readonly replayEndpoint?: string;
    /** Token that stands for pieces of an image. */
    readonly imageTokenId?: number;
  };

/** The state of one rank's cache at a moment. @source dynamo-backend-common 1.6.1, `ComponentSnapshot` */
export interface ComponentSnapshot {
  /** Blocks in use. */
  readonly kvUsedBlocks: number;
  /** Blocks there are. */
  readonly kvTotalBlocks: number;
  /** Share of the cache in use, from 0 to 1. */
  readonly gpuCacheUsage: number;
  /** Share of blocks found in the cache, from 0 to 1; `null` leaves what was said before. @default null */
  readonly kvCacheHitRate?: number | null;
}

/** What an engine reports the state of its cache through. */
export interface SnapshotPublisher {
  /**
   * Reports a rank's state: its gauges on `/metrics`, and to routers if the blocks in use have changed. Report zero blocks
   * in use when idle: frontends keep the last value.
   */
  publish(dpRank: number, snapshot: ComponentSnapshot): void;
}
