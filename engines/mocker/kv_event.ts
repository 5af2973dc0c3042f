/**
 * What changed in a cache, in the order it changed.
 *
 * @module
 */
import type { BlockSequence } from "./sequence.ts";

/** Blocks that became visible for reuse, consecutive ones of one sequence. */
export interface StoredBlocks {
  /** Tells the kinds apart. */
  readonly kind: "stored";
  /** Whose blocks they are. */
  readonly sequence: BlockSequence;
  /** Place of the first in the sequence; the block before it is the parent. */
  readonly first: number;
  /** How many blocks. */
  readonly count: number;
  /** Where they are; none: in the blocks of the engine. */
  readonly tier?: "host_pinned";
}

/** Blocks of which the last copy was evicted. */
export interface RemovedBlocks {
  /** Tells the kinds apart. */
  readonly kind: "removed";
  /** Sequence hashes in the order of eviction, low half first. */
  readonly hashes: Uint32Array;
  /** Where they were; none: in the blocks of the engine. */
  readonly tier?: "host_pinned";
}

/** One event. */
export type KvEvent = StoredBlocks | RemovedBlocks;

/** Collects events until somebody takes them. */
export class KvEventLog {
  #events: KvEvent[] = [];
  #sequence: BlockSequence | undefined;
  #first = 0;
  #count = 0;
  readonly #removed: number[] = [];

  /** Events that nobody has taken yet, without the one that is being collected. */
  get size(): number {
    return this.#events.length;
  }

  /** Notes one block that became visible; adjacent ones become one event. */
  stored(sequence: BlockSequence, block: number): void {
    if (this.#sequence === sequence && this.#first + this.#count === block) {
      this.#count++;
      return;
    }
    this.flush();
    this.#sequence = sequence;
    this.#first = block;
    this.#count = 1;
  }

  /** Notes one block that is gone; all until `flush` become one event. */
  removed(low: number, high: number): void {
    if (this.#count > 0) this.flush();
    this.#removed.push(low, high);
  }

  /** Notes an event of another tier. */
  push(event: KvEvent): void {
    this.flush();
    this.#events.push(event);
  }

  /** Ends the event that is being collected. */
  flush(): void {
    if (this.#sequence !== undefined) {
      this.#events.push({ kind: "stored", sequence: this.#sequence, first: this.#first, count: this.#count });
      this.#sequence = undefined;
      this.#count = 0;
    }
    if (this.#removed.length > 0) {
      this.#events.push({ kind: "removed", hashes: Uint32Array.from(this.#removed) });
      this.#removed.length = 0;
    }
  }

  /** All events since the last call. */
  take(): KvEvent[] {
    this.flush();
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
