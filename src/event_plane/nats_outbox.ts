/**
 * Messages on their way to NATS: each is kept until the server has confirmed it, so that a lost connection loses nothing
 * that there is room for.
 *
 * @module
 */
import type { NatsLink } from "../nats/link.ts";

/** Counts of one publisher. */
export interface NatsCounts {
  /** Messages that will not arrive. */
  dropped: number;
  /** Bytes that wait. @unit bytes */
  waitingBytes: number;
}

/** A message and whose it is. */
export interface OutboxMessage {
  /** Where it goes. */
  readonly subject: string;
  /** What it says. */
  readonly bytes: Uint8Array;
  /** Counts of its publisher. */
  readonly counts: NatsCounts;
}

/** How much an outbox holds. */
export interface NatsRoom {
  /** Messages. */
  readonly messages: number;
  /** Bytes. @unit bytes */
  readonly bytes: number;
  /** Bytes of them that may be on their way at a time. The library would hold any number. @unit bytes */
  readonly window: number;
}

/**
 * Keeps the order. When it is full, new messages are dropped rather than old ones, so that a subscriber who numbers them
 * sees one gap. After a loss, what was not confirmed is sent again: a message may then arrive twice, which routers ignore.
 */
export class NatsOutbox {
  readonly #link: NatsLink;
  readonly #room: NatsRoom;
  readonly #full: () => void;
  /** Before `#first` there are none any more, before `#next` they are on their way. */
  #queue: OutboxMessage[] = [];
  #next = 0;
  #bytes = 0;
  #sentBytes = 0;
  #isFlushing = false;
  #isFull = false;
  #idle: PromiseWithResolvers<void> | null = null;

  /** Makes one; `full` is called when messages begin to be dropped. */
  constructor(link: NatsLink, room: NatsRoom, full: () => void) {
    this.#link = link;
    this.#room = room;
    this.#full = full;
    link.onBack(() => this.#pump());
  }

  /** Takes a message, or counts it as dropped. */
  add(message: OutboxMessage): void {
    const { length } = message.bytes;
    const isTooMuch = this.#bytes + length > this.#room.bytes || this.#queue.length >= this.#room.messages;
    if (isTooMuch && this.#queue.length > 0) {
      message.counts.dropped++;
      if (!this.#isFull) this.#full();
      this.#isFull = true;
      return;
    }
    this.#queue.push(message);
    this.#bytes += length;
    message.counts.waitingBytes += length;
    this.#pump();
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  /** Counts what waits as dropped, and forgets it. */
  clear(): void {
    for (const { counts, bytes } of this.#queue) {
      counts.dropped++;
      counts.waitingBytes -= bytes.length;
    }
    this.#queue = [];
    this.#next = this.#bytes = this.#sentBytes = 0;
    this.#idle?.resolve();
  }

  #pump(): void {
    if (!this.#link.isUp) return;
    while (this.#next < this.#queue.length && (this.#sentBytes < this.#room.window)) {
      const { subject, bytes } = this.#queue[this.#next++]!;
      this.#sentBytes += bytes.length;
      this.#link.send(subject, bytes);
    }
    if (!this.#isFlushing && this.#next > 0) void this.#confirm();
  }

  async #confirm(): Promise<void> {
    this.#isFlushing = true;
    const count = this.#next;
    const isThere = await this.#link.flush();
    this.#isFlushing = false;
    if (isThere) this.#forget(count);
    else this.#next = this.#sentBytes = 0;
    this.#pump();
  }

  #forget(count: number): void {
    const gone = this.#queue.splice(0, count);
    this.#next = Math.max(0, this.#next - gone.length);
    for (const { counts, bytes } of gone) {
      this.#bytes -= bytes.length;
      this.#sentBytes -= bytes.length;
      counts.waitingBytes -= bytes.length;
    }
    if (this.#queue.length > 0) return;
    this.#isFull = false;
    this.#idle?.resolve();
    this.#idle = null;
  }
}
