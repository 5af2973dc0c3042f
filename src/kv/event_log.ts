/**
 * From changes of a cache to the payloads that a publisher sends.
 *
 * @module
 */
import { encodeKvEvents, type RouterEvent } from "../protocol/kv_event.ts";
import { BlockCounts } from "./block_counts.ts";
import type { KvChange } from "./change.ts";
import { coalesce } from "./coalesce.ts";
import type { LocalIndexer } from "./local_indexer.ts";

/** Most events of one message. @source dynamo-llm 1.6.1, KV event publisher */
const MESSAGE_EVENTS = 128;
/** Most blocks of one message, unless a single event has more. @unit blocks @source dynamo-llm 1.6.1, KV event publisher */
const MESSAGE_BLOCKS = 8192;

/** Numbers the events of one publisher: merges changes, drops what routers need not know, counts without a gap. */
export class KvEventLog {
  readonly #workerId: bigint;
  readonly #indexer: LocalIndexer | null;
  readonly #counts = new BlockCounts();
  #lastId = 0n;

  /** Starts at event 1. @param indexer Keeps what was published, for routers that missed some of it. */
  constructor(workerId: bigint, indexer: LocalIndexer | null = null) {
    this.#workerId = workerId;
    this.#indexer = indexer;
  }

  /** Id of the newest event; 0 before the first. */
  get lastEventId(): bigint {
    return this.#lastId;
  }

  /**
   * Takes the changes of one turn or one message of an engine, in order, and returns the payloads for the topic
   * `kv-events`, in order; none if routers need not know of any. The more changes at once, the fewer events.
   */
  append(changes: readonly KvChange[]): Uint8Array[] {
    const events: RouterEvent[] = [];
    for (const change of coalesce(changes)) {
      const passed = this.#counts.pass(change);
      if (passed !== null) events.push(this.#event(passed));
    }
    for (const event of events) this.#indexer?.apply(event);
    return messages(events).map(encodeKvEvents);
  }

  #event({ data, tier, dpRank, sessionId }: KvChange): RouterEvent {
    this.#lastId += 1n;
    return {
      worker_id: this.#workerId,
      storage_tier: tier,
      residency_domain: "worker",
      event: { event_id: this.#lastId, data, dp_rank: dpRank },
      ...(sessionId === undefined ? {} : { session_id: sessionId }),
    };
  }
}

/** Cuts events into messages that fit a broker's limit. */
function messages(events: readonly RouterEvent[]): RouterEvent[][] {
  const batches: RouterEvent[][] = [];
  let blocks = 0;
  for (const event of events) {
    const size = blocksOf(event);
    const batch = batches.at(-1);
    if (batch === undefined || batch.length === MESSAGE_EVENTS || blocks + size > MESSAGE_BLOCKS) {
      batches.push([event]);
      blocks = size;
    } else {
      batch.push(event);
      blocks += size;
    }
  }
  return batches;
}

function blocksOf({ event: { data } }: RouterEvent): number {
  if (data === "cleared") return 0;
  return "stored" in data ? data.stored.blocks.length : data.removed.block_hashes.length;
}
