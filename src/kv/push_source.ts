/**
 * KV events that an engine publishes itself.
 *
 * @module
 */
import type { KvEventPublisher, KvItem, StoredTokens } from "../engine/kv_source.ts";
import type { StorageTier } from "../protocol/kv_event.ts";
import { hashStored, type KvChange } from "./change.ts";
import type { KvEventLog } from "./event_log.ts";

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

/** What an engine publishes its blocks through. */
export class PushSource implements KvEventPublisher {
  readonly #parts: PushSourceParts;
  #isOpen = true;

  /** Makes a source for one rank. */
  constructor(parts: PushSourceParts) {
    this.#parts = parts;
  }

  get dpRank(): number {
    return this.#parts.dpRank;
  }

  publishStored(stored: StoredTokens): void {
    this.publishBatch([{ ...stored, type: "stored" }]);
  }

  publishRemoved(blockHashes: readonly bigint[] | BigUint64Array, tier: StorageTier = "device"): void {
    this.publishBatch([{ type: "removed", blockHashes, tier }]);
  }

  publishCleared(): void {
    this.publishBatch([{ type: "cleared" }]);
  }

  publishBatch(items: readonly KvItem[]): void {
    if (!this.#isOpen) return;
    const { log, send } = this.#parts;
    for (const payload of log.append(items.map((item) => this.#change(item)))) send(payload);
  }

  /** Ends publishing; later calls do nothing. */
  close(): void {
    this.#isOpen = false;
  }

  #change(item: KvItem): KvChange {
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
