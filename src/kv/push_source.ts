/**
 * KV events that an engine publishes itself.
 *
 * @module
 */
import type { StorageTier } from "../protocol/kv_event.ts";
import { hashStored, type KvChange, type StoredTokens } from "./change.ts";
import type { KvEventLog } from "./event_log.ts";

/** Stored blocks, as an item of a batch. */
export interface StoredItem extends StoredTokens {
  /** Tells it from the others. */
  readonly type: "stored";
  /**
   * Where the blocks lie.
   *
   * @default "device"
   */
  readonly tier?: StorageTier;
  /** Session of the request. */
  readonly sessionId?: string;
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
export type PushItem = StoredItem | RemovedItem | { /** Tells it from the others. */ readonly type: "cleared" };

/** What a push source works with. */
export interface PushSourceParts {
  /** Rank the blocks belong to. */
  readonly dpRank: number;
  /** Block size of the worker's card. @unit tokens */
  readonly blockSize: number;
  /** Numbers the events. */
  readonly log: KvEventLog;
  /** Takes each payload for the topic `kv-events`, in order. Must not throw. */
  readonly send: (payload: Uint8Array) => void;
  /** Told how many stored blocks were left out because they, or a block before them, were not full. */
  readonly reportLeft?: (blocks: number) => void;
}

/** What an engine publishes its blocks through. Calls return at once; routers get the events in the order of the calls. */
export class PushSource {
  readonly #parts: PushSourceParts;
  #isOpen = true;

  /** Makes a source for one rank. */
  constructor(parts: PushSourceParts) {
    this.#parts = parts;
  }

  /**
   * Publishes stored blocks.
   *
   * @throws {RangeError} If a token id is no unsigned 32-bit integer; nothing is published then.
   */
  publishStored(stored: StoredTokens & Pick<StoredItem, "tier" | "sessionId">): void {
    this.publishBatch([{ ...stored, type: "stored" }]);
  }

  /** Publishes removed blocks. */
  publishRemoved(blockHashes: readonly bigint[] | BigUint64Array, tier: StorageTier = "device"): void {
    this.publishBatch([{ type: "removed", blockHashes, tier }]);
  }

  /** Publishes that the rank holds nothing any more. */
  publishCleared(): void {
    this.publishBatch([{ type: "cleared" }]);
  }

  /**
   * Publishes several changes in order. Neighbours that belong together become one event, so this is cheaper for
   * routers than single calls.
   *
   * @throws {RangeError} If a token id is no unsigned 32-bit integer; nothing of the batch is published then.
   */
  publishBatch(items: readonly PushItem[]): void {
    if (!this.#isOpen) return;
    const { log, send } = this.#parts;
    for (const payload of log.append(items.map((item) => this.#change(item)))) send(payload);
  }

  /** Ends publishing; later calls do nothing. */
  close(): void {
    this.#isOpen = false;
  }

  #change(item: PushItem): KvChange {
    const { dpRank, blockSize, reportLeft } = this.#parts;
    if (item.type === "cleared") return { data: "cleared", tier: "device", dpRank };
    const tier = item.tier ?? "device";
    if (item.type === "removed") {
      const block_hashes = Array.from(item.blockHashes, (hash) => BigInt.asUintN(64, hash));
      return { data: { removed: { block_hashes } }, tier, dpRank };
    }
    const { stored, left } = hashStored(item, blockSize);
    if (left > 0) reportLeft?.(left);
    return { data: { stored }, tier, dpRank, ...(item.sessionId === undefined ? {} : { sessionId: item.sessionId }) };
  }
}
