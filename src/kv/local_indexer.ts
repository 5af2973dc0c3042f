/**
 * What a publisher has told, kept for routers that missed it.
 *
 * @module
 */
import type { RouterEvent, StorageTier } from "../protocol/kv_event.ts";
import type { RecoveryQuery, RecoveryReply } from "../protocol/kv_recovery.ts";
import { BlockTree } from "./block_tree.ts";

/** Newest events kept as they were sent. @source dynamo-kv-router 1.6.1, local indexer */
const KEPT_EVENTS = 1024;
const TIERS: readonly StorageTier[] = ["device", "host_pinned", "disk", "external"];

/**
 * The blocks of one rank of one worker, and its newest events. The blocks are as many as the engine holds; the events
 * are bounded.
 */
export class LocalIndexer {
  readonly #workerId: bigint;
  readonly #dpRank: number;
  readonly #trees = new Map(TIERS.map((tier) => [tier, new BlockTree(tier === "device")]));
  /** A ring, by event id. */
  readonly #events: RouterEvent[] = [];
  #lastId = 0n;

  /** Knows nothing yet. */
  constructor(workerId: bigint, dpRank: number) {
    this.#workerId = workerId;
    this.#dpRank = dpRank;
  }

  /** Blocks held at present, in all places. */
  get size(): number {
    let size = 0;
    for (const tree of this.#trees.values()) size += tree.size;
    return size;
  }

  /** Takes one event that is about to be published. Their ids follow one another. */
  apply(event: RouterEvent): void {
    const { event_id, data, dp_rank } = event.event;
    this.#lastId = event_id;
    this.#events[Number(event_id % BigInt(KEPT_EVENTS))] = event;
    if (dp_rank !== this.#dpRank) return; // routers drop it, since this publisher speaks for one rank
    const tree = this.#trees.get(event.storage_tier)!;
    if (data === "cleared") { for (const each of this.#trees.values()) each.clear(); }
    else if ("stored" in data) tree.store(data.stored);
    else tree.remove(data.removed.block_hashes);
  }

  /**
   * Answers a router.
   *
   * @source dynamo-kv-router 1.6.1, local indexer: everything if the start is unknown, unset or no longer kept
   */
  answer(query: RecoveryQuery): RecoveryReply {
    const { start_event_id: start, end_event_id: end } = query;
    if (query.kind !== "recovery") return { Error: "only recovery is supported" };
    if (query.worker_id !== this.#workerId) {
      return { Error: `this is worker ${this.#workerId}, not ${query.worker_id}` };
    }
    if (query.dp_rank !== this.#dpRank) return { Error: `this is rank ${this.#dpRank}, not ${query.dp_rank}` };
    if (start !== null && end !== null && end < start) return { InvalidRange: { start_id: start, end_id: end } };
    if (start === null || this.#lastId === 0n) return this.#dump();
    if (start > this.#lastId) {
      return { TooNew: { requested_start: start, requested_end: end, newest_available: this.#lastId } };
    }
    if (start < this.#oldestId()) return this.#dump();
    return { Events: { events: this.#since(start), last_event_id: this.#lastId } };
  }

  #oldestId(): bigint {
    const oldest = this.#lastId - BigInt(KEPT_EVENTS) + 1n;
    return oldest > 1n ? oldest : 1n;
  }

  #since(start: bigint): RouterEvent[] {
    const events: RouterEvent[] = [];
    for (let id = start; id <= this.#lastId; id++) events.push(this.#events[Number(id % BigInt(KEPT_EVENTS))]!);
    return events;
  }

  #dump(): RecoveryReply {
    const events: RouterEvent[] = [];
    for (const [tier, tree] of this.#trees) {
      for (const stored of tree.chains()) {
        events.push({
          worker_id: this.#workerId,
          storage_tier: tier,
          residency_domain: "worker",
          event: { event_id: BigInt(events.length + 1), data: { stored }, dp_rank: this.#dpRank },
        });
      }
    }
    return { TreeDump: { events, last_event_id: this.#lastId, reset_scope: "all" } };
  }
}
