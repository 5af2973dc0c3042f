/**
 * Tells routers what the caches of the ranks hold and how full they are.
 *
 * @module
 */
import type { KvEventPublisher, KvEventSource, KvItem, SnapshotPublisher } from "@stator/worker";
import type { KvEvent } from "../kv_event.ts";
import type { RankScheduler } from "../rank_scheduler.ts";
import type { TokenSequence } from "./token_sequence.ts";

/** The publishers of a worker, by rank. Without them nothing happens. */
export class KvPublishing {
  readonly #publishers: KvEventPublisher[] = [];
  #snapshots: SnapshotPublisher | undefined;

  /** A source for every rank. */
  sources(ranks: number): KvEventSource[] {
    return Array.from({ length: ranks }, (_, dpRank) => ({
      kind: "push",
      dpRank,
      onReady: (publisher) => void (this.#publishers[dpRank] = publisher),
    }));
  }

  /** Takes what snapshots go to. */
  attach(publisher: SnapshotPublisher): void {
    this.#snapshots = publisher;
  }

  /** Publishes what a rank's cache has changed since the last call, in one batch. */
  publishEvents(dpRank: number, rank: RankScheduler): void {
    const events = rank.takeKvEvents();
    if (events.length > 0) this.#publishers[dpRank]?.publishBatch(events.map(itemOf));
  }

  /** Publishes how full a rank is. */
  publishLoad(dpRank: number, { gauges: { activeBlocks, totalBlocks } }: RankScheduler): void {
    this.#snapshots?.publish(dpRank, {
      kvUsedBlocks: activeBlocks,
      kvTotalBlocks: totalBlocks,
      gpuCacheUsage: activeBlocks / totalBlocks,
    });
  }
}

function itemOf(event: KvEvent): KvItem {
  if (event.kind === "removed") {
    return { type: "removed", blockHashes: new BigUint64Array(event.hashes.buffer as ArrayBuffer) };
  }
  const { first, count } = event;
  // Every request of a live worker has one of these.
  const sequence = event.sequence as TokenSequence;
  return {
    ...sequence.options,
    type: "stored",
    tokenIds: sequence.tokensOf(first, count),
    blockHashes: sequence.hashesOf(first, count),
    parentHash: sequence.parentOf(first),
  };
}
