/**
 * What waits to be sent to one peer.
 *
 * @module
 */
import type { Clock, Conn } from "../platform/platform.ts";
import { joinBytes } from "./join_bytes.ts";
import type { HighWaterMark } from "./limits.ts";

/** Bytes that one write sends at least, if that much waits, and hardly more. @unit bytes */
const WRITE_BYTES = 256 * 1024;
/** What is shorter is copied before it is sent, lest a few bytes that a peer does not read hold a region. @unit bytes */
const IN_PLACE_BYTES = 16 * 1024;

/** A piece of a region: messages of this turn. */
interface Span {
  readonly bytes: Uint8Array;
  readonly start: number;
  end: number;
  messages: number;
}

/** Messages of an earlier turn, in memory of their own, so that they hold no more than they count. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly messages: number;
}

/**
 * Sends what is added during a turn with one write at its end, unless the connection asked to wait; then it is kept up
 * to the high-water mark. A turn that adds much is sent in several writes, the first before its end.
 */
export class Outbox {
  /** Messages given to the connection so far. */
  sent = 0;
  readonly #conn: Conn;
  readonly #clock: Clock;
  readonly #mark: HighWaterMark;
  #spans: Span[] = [];
  #spanBytes = 0;
  #waiting: Chunk[] = [];
  #messages = 0;
  #bytes = 0;
  #isScheduled = false;
  #isBlocked = false;
  #isEnding = false;
  /** Sent as soon as there is room; only the last one counts. */
  #owed: Uint8Array | null = null;

  /** Makes an empty one. */
  constructor(conn: Conn, clock: Clock, mark: HighWaterMark) {
    this.#conn = conn;
    this.#clock = clock;
    this.#mark = mark;
  }

  /** Messages that wait. */
  get messages(): number {
    return this.#messages;
  }

  /** Bytes that wait, those included that the system has not taken yet. */
  get bytes(): number {
    return this.#bytes + this.#conn.pendingBytes;
  }

  /** Adds a message, a piece of a region; `false` if the high-water mark is reached and it was not added. */
  add(region: Uint8Array, start: number, end: number): boolean {
    const { bytes } = this;
    const { messages: mostMessages, bytes: mostBytes } = this.#mark;
    if (bytes > 0 && (this.#messages >= mostMessages || bytes + end - start > mostBytes)) return false;
    this.#append(region, start, end, 1);
    return true;
  }

  /** Adds commands, which have no high-water mark: their number must be bounded by what they are about. */
  addCommand(bytes: Uint8Array): void {
    this.#append(bytes, 0, bytes.length, 0);
  }

  /** Sends an answer now, or once there is room; it takes the place of one that still waits. */
  answer(bytes: Uint8Array): void {
    if (this.#isBlocked) this.#owed = bytes;
    else this.addCommand(bytes);
  }

  /** Whether at most half of the high-water mark waits. */
  get isLow(): boolean {
    return this.#messages <= this.#mark.messages / 2 && this.bytes <= this.#mark.bytes / 2;
  }

  /** There is room again. */
  drain(): void {
    this.#isBlocked = false;
    while (!this.#isBlocked && this.#waiting.length > 0) this.#sendWaiting();
    if (this.#owed !== null && !this.#isBlocked) {
      this.#write(this.#owed, 0);
      this.#owed = null;
    }
    this.#endIfEmpty();
  }

  /** Sends what waits, then ends our side of the connection. */
  end(): void {
    this.#isEnding = true;
    this.#flush();
    this.#endIfEmpty();
  }

  #append(bytes: Uint8Array, start: number, end: number, messages: number): void {
    if (this.#isEnding) return;
    const last = this.#spans.at(-1);
    if (last !== undefined && last.bytes === bytes && last.end === start) {
      last.end = end;
      last.messages += messages;
    } else {
      // Sent now, what one region holds is sent in place; with the next it would have to be copied.
      if (last !== undefined && last.bytes !== bytes && this.#spanBytes >= WRITE_BYTES / 2) this.#flush();
      this.#spans.push({ bytes, start, end, messages });
    }
    this.#messages += messages;
    this.#bytes += end - start;
    this.#spanBytes += end - start;
    if (this.#spanBytes >= WRITE_BYTES) this.#flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#clock.endOfTurn(this.#endTurn);
    }
  }

  readonly #endTurn = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  #flush(): void {
    const spans = this.#spans;
    const [first] = spans;
    if (first === undefined) return;
    this.#spans = [];
    this.#spanBytes = 0;
    const messages = spans.reduce((sum, span) => sum + span.messages, 0);
    const views = spans.map(({ bytes, start, end }) => bytes.subarray(start, end));
    const waits = this.#isBlocked || this.#waiting.length > 0;
    const isCopied = views.length === 1 && (waits || views[0]!.length < IN_PLACE_BYTES);
    const bytes = isCopied ? views[0]!.slice() : joinBytes(views);
    if (waits) this.#waiting.push({ bytes, messages });
    else this.#writeTaken(bytes, messages);
  }

  #sendWaiting(): void {
    let count = 0;
    let bytes = 0;
    let messages = 0;
    while (count < this.#waiting.length && bytes < WRITE_BYTES) {
      const chunk = this.#waiting[count++]!;
      bytes += chunk.bytes.length;
      messages += chunk.messages;
    }
    const chunks = this.#waiting.splice(0, count);
    this.#writeTaken(joinBytes(chunks.map((chunk) => chunk.bytes)), messages);
  }

  #writeTaken(bytes: Uint8Array, messages: number): void {
    this.#messages -= messages;
    this.#bytes -= bytes.length;
    this.#write(bytes, messages);
  }

  #write(bytes: Uint8Array, messages: number): void {
    this.sent += messages;
    if (!this.#conn.write(bytes)) this.#isBlocked = true;
  }

  #endIfEmpty(): void {
    if (this.#isEnding && this.#waiting.length === 0) this.#conn.end();
  }
}
