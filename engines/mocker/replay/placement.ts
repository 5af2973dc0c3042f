/**
 * Which worker takes a request.
 *
 * @module
 */
import type { KvEvent } from "../kv_event.ts";
import type { BlockSequence } from "../sequence.ts";

/** A request that looks for a worker. */
export interface PlacedRequest {
  /** Its name. */
  readonly id: number;
  /** Its blocks, of the workers' block size. */
  readonly sequence: BlockSequence;
  /** Length of the prompt. @unit tokens */
  readonly promptTokens: number;
  /** Length of the answer. @unit tokens */
  readonly outputTokens: number;
}

/** Where a request goes. */
export interface Placement {
  /** Number of the worker. */
  readonly worker: number;
  /** Number of its rank. */
  readonly rank: number;
  /** Prompt tokens that the router expects in the worker's cache. @unit tokens */
  readonly overlapTokens: number;
}

/** Chooses workers. */
export interface PlacementPolicy {
  /** Chooses for a request that arrives. */
  place(request: PlacedRequest, nowMs: number): Placement;
  /** A request has its first token. */
  onPrefillDone(id: number): void;
  /** A request is over. */
  onEnd(id: number): void;
  /** A rank's cache changed. */
  onKvEvents(worker: number, rank: number, events: readonly KvEvent[]): void;
}

/**
 * Workers in turn, and the ranks of each worker in turn.
 *
 * @source aisimulate-core 0.13.0, `round_robin.rs`, `AggregatedRoundRobin`
 */
export class WorkerRoundRobin implements PlacementPolicy {
  readonly #nextRanks: Uint32Array;
  readonly #ranks: number;
  #next = 0;

  /** Chooses among workers with the same number of ranks. */
  constructor(workers: number, ranks: number) {
    this.#nextRanks = new Uint32Array(workers);
    this.#ranks = ranks;
  }

  place(): Placement {
    const worker = this.#next;
    this.#next = (worker + 1) % this.#nextRanks.length;
    const rank = this.#nextRanks[worker]!;
    this.#nextRanks[worker] = (rank + 1) % this.#ranks;
    return { worker, rank, overlapTokens: 0 };
  }

  onPrefillDone(): void {}

  onEnd(): void {}

  onKvEvents(): void {}
}

/**
 * All ranks of all workers in turn.
 *
 * @source aisimulate-core 0.13.0, `round_robin.rs`, `PoolRoundRobinPlacement`
 */
export class RankRoundRobin implements PlacementPolicy {
  readonly #workers: number;
  readonly #ranks: number;
  #next = 0;

  /** Chooses among workers with the same number of ranks. */
  constructor(workers: number, ranks: number) {
    this.#workers = workers;
    this.#ranks = ranks;
  }

  place(): Placement {
    const index = this.#next;
    this.#next = (index + 1) % (this.#workers * this.#ranks);
    return { worker: Math.floor(index / this.#ranks), rank: index % this.#ranks, overlapTokens: 0 };
  }

  onPrefillDone(): void {}

  onEnd(): void {}

  onKvEvents(): void {}
}
