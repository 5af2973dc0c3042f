/**
 * Tells routers what the caches of the ranks hold and how full they are, and planners what their passes did.
 *
 * @module
 */
import type {
  ForwardPassPublisher,
  KvEventPublisher,
  KvEventSource,
  KvItem,
  QueuedWork,
  SnapshotPublisher,
} from "@stator/worker";
import { machineParts } from "@stator/worker/zmtp";
import type { ForwardPass, QueuedRequests } from "../forward_pass.ts";
import type { KvEvent } from "../kv_event.ts";
import type { RankScheduler } from "../rank_scheduler.ts";
import type { TokenSequence } from "./token_sequence.ts";
import { ZmqEvents, type ZmqPorts } from "./zmq_events.ts";

/** The publishers of a worker, by rank. Without them nothing happens. Disposing it closes its sockets. */
export class KvPublishing implements AsyncDisposable {
  readonly #publishers: Pick<KvEventPublisher, "publishBatch">[] = [];
  readonly #sockets: ZmqEvents[] = [];
  #snapshots: SnapshotPublisher | undefined;
  #passes: ForwardPassPublisher | undefined;

  /**
   * Publishes on ports from now on, and not through the worker: that one is a subscriber like any other.
   *
   * @throws {Error} If a port cannot be listened on.
   */
  async openSockets(ranks: number, { events, replay }: ZmqPorts, blockSize: number): Promise<void> {
    const parts = await machineParts();
    for (let dpRank = 0; dpRank < ranks; dpRank++) {
      const ports = { events: events + dpRank, ...(replay === undefined ? {} : { replay: replay + dpRank }) };
      this.#sockets.push(await ZmqEvents.open(ports, { ...parts, blockSize, dpRank }));
    }
    this.#publishers.push(...this.#sockets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => socket[Symbol.asyncDispose]()));
  }

  /** A source for every rank. */
  sources(ranks: number): KvEventSource[] {
    if (this.#sockets.length > 0) return this.#sockets.map(({ source }) => source);
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

  /** Takes what forward passes go to. */
  attachPasses(publisher: ForwardPassPublisher): void {
    this.#passes = publisher;
  }

  /** Publishes what a rank's cache has changed since the last call, in one batch. */
  publishEvents(dpRank: number, rank: RankScheduler): void {
    const events = rank.takeKvEvents();
    if (events.length > 0) this.#publishers[dpRank]?.publishBatch(events.map(itemOf));
  }

  /** Publishes what a rank's pass did. */
  publishPass(dpRank: number, { wall_time, scheduled_requests, queued_requests }: ForwardPass): void {
    const { sum_prefill_kv_tokens: sumPrefillKvTokens } = scheduled_requests;
    this.#passes?.publish(dpRank, {
      wallTimeSeconds: wall_time,
      scheduled: { ...workOf(scheduled_requests), sumPrefillKvTokens },
      queued: workOf(queued_requests),
    });
  }

  /** Publishes how full a rank is. */
  publishLoad(dpRank: number, { gauges: { activeBlocks, totalBlocks, usage } }: RankScheduler): void {
    this.#snapshots?.publish(dpRank, {
      kvUsedBlocks: activeBlocks,
      kvTotalBlocks: totalBlocks,
      gpuCacheUsage: usage,
    });
  }
}

function workOf(requests: QueuedRequests): QueuedWork {
  return {
    numPrefillRequests: requests.num_prefill_requests,
    sumPrefillTokens: requests.sum_prefill_tokens,
    varPrefillLength: requests.var_prefill_length,
    numDecodeRequests: requests.num_decode_requests,
    sumDecodeKvTokens: requests.sum_decode_kv_tokens,
    varDecodeKvTokens: requests.var_decode_kv_tokens,
  };
}

function itemOf(event: KvEvent): KvItem {
  if (event.kind === "removed") {
    return { type: "removed", blockHashes: new BigUint64Array(event.hashes.buffer as ArrayBuffer), ...tierOf(event) };
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
    // As in the peer, only what lies on the host says its place.
    ...(event.tier === undefined ? {} : { tier: event.tier, startPosition: first }),
  };
}

function tierOf({ tier }: KvEvent): { readonly tier?: "host_pinned" } {
  return tier === undefined ? {} : { tier };
}
