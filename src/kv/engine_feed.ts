/**
 * The messages of one engine socket in order, those that got lost asked for again.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import type { EngineMessage } from "../protocol/engine_batch.ts";
import { SequenceWatch } from "./sequence_watch.ts";

/** What a feed works with. */
export interface EngineFeedParts {
  /** Time. */
  readonly clock: Clock;
  /** Takes each batch, in order. Must not throw. */
  readonly take: (batch: Uint8Array) => void;
  /** Told that the engine began anew, so that nothing of what it stored is there any more. */
  readonly restarted: () => void;
  /** Told how many batches are lost for good. */
  readonly lost: (batches: number) => void;
  /** Asks the engine for its batches from one on, to be given to {@linkcode EngineFeed.replayed}; `null` if it keeps none. */
  readonly ask: ((from: bigint) => void) | null;
  /** Stops or resumes live messages, which then wait at the engine. */
  readonly setReading: (reading: boolean) => void;
}

/** How long a replay may say nothing. @unit milliseconds */
const SILENCE_MS = 5000;
/** What may wait for a replay; beyond it live messages wait at the engine. */
const HELD_MESSAGES = 1024;
const HELD_BYTES = 16 * 1024 * 1024;

/**
 * Puts live and replayed messages of one engine in order. While a replay is under way live messages are held, within a
 * bound. What a replay does not bring is counted as lost, and the feed goes on: a router that lacks blocks only finds
 * less.
 */
export class EngineFeed {
  readonly #parts: EngineFeedParts;
  readonly #watch = new SequenceWatch();
  /** Number of the next batch to take; `null` until there was one. */
  #next: bigint | null = null;
  #held: EngineMessage[] = [];
  #heldBytes = 0;
  #isReading = true;
  /** Set while a replay is under way. */
  #silence: Disposable | null = null;
  #hasSpoken = false;

  /** Makes a feed that has seen nothing. */
  constructor(parts: EngineFeedParts) {
    this.#parts = parts;
  }

  /** A message of the engine's live socket. Its bytes are used during the call only. */
  live(message: EngineMessage): void {
    if (this.#watch.note(message.sequence).kind === "restart") {
      this.#end();
      this.#held = [];
      this.#next = 0n;
      this.#parts.restarted();
    }
    if (this.#silence === null && this.#isMissing(message.sequence)) this.#replay();
    if (this.#silence === null) this.#take(message);
    else this.#hold(message);
  }

  /** A message of the engine's replay socket; `null` is its last. */
  replayed(message: EngineMessage | null): void {
    if (this.#silence === null) return;
    this.#hasSpoken = true;
    if (message === null) this.#settle();
    else this.#take(message);
  }

  /** The replay socket is ready, for the first time or again: questions it was asked before may be lost. */
  canReplay(): void {
    if (this.#silence !== null) this.#parts.ask?.(this.#next ?? 0n);
    else if (this.#next === null) this.#replay();
  }

  /** Ends it; what is held is dropped. */
  close(): void {
    this.#end();
    this.#held = [];
  }

  /** An engine that keeps its batches has those from before we came, too. */
  #isMissing(sequence: bigint): boolean {
    return this.#parts.ask !== null && sequence > (this.#next ?? 0n);
  }

  #replay(): void {
    this.#listen();
    this.#parts.ask?.(this.#next ?? 0n);
  }

  #listen(): void {
    this.#hasSpoken = false;
    this.#silence = this.#parts.clock.timer(SILENCE_MS, () => this.#hasSpoken ? this.#listen() : this.#settle());
  }

  #hold({ sequence, batch }: EngineMessage): void {
    this.#held.push({ sequence, batch: batch.slice() });
    this.#heldBytes += batch.length;
    if (this.#held.length >= HELD_MESSAGES || this.#heldBytes >= HELD_BYTES) this.#setReading(false);
  }

  /** Ends a replay that has brought all it will. */
  #settle(): void {
    this.#end();
    for (const message of this.#held.splice(0)) this.#take(message);
  }

  #end(): void {
    this.#silence?.[Symbol.dispose]();
    this.#silence = null;
    this.#heldBytes = 0;
    this.#setReading(true);
  }

  #take({ sequence, batch }: EngineMessage): void {
    const next = this.#next ?? sequence;
    if (sequence < next) return; // a replay and the live socket overlap
    if (sequence > next) this.#parts.lost(Number(sequence - next));
    this.#next = sequence + 1n;
    this.#parts.take(batch);
  }

  #setReading(reading: boolean): void {
    if (reading === this.#isReading) return;
    this.#isReading = reading;
    this.#parts.setReading(reading);
  }
}
