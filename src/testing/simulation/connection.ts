/**
 * One simulated TCP connection: two ends, and a pipe each way with delay, pieces and back-pressure.
 *
 * @module
 */
import type { Conn, ConnHandlers } from "../../platform/platform.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { Timeline } from "./timeline.ts";

/** How a pipe behaves. */
export interface PipeQuality {
  /** Time from one end to the other, at least. @unit milliseconds */
  readonly latencyMs: number;
  /** Share of it that may come on top. */
  readonly jitter: number;
  /** Bytes that may be under way or unread. @unit bytes */
  readonly windowBytes: number;
  /** Share of writes that arrive in pieces. */
  readonly splitting: number;
}

/** What an end is made of. */
export interface EndParts {
  /** Time. */
  readonly timeline: Timeline;
  /** Delays and pieces. */
  readonly random: SeededRandom;
  /** The way to the other end. */
  readonly quality: PipeQuality;
  /** Whose end it is. */
  readonly owner: string;
  /** The peer's address. */
  readonly remote: string;
  /** Whether nothing passes between the two hosts any more. */
  readonly isCut: () => boolean;
  /** Called once when the end is closed. */
  readonly onClosed: (end: ConnectionEnd) => void;
}

/** What travels: bytes, the end of a half, a reset. */
type Parcel = Uint8Array | "end" | "reset";

/** Unsent bytes above which a writer is asked to wait. @unit bytes @source Node.js, `highWaterMark` of sockets */
const HIGH_WATER_BYTES = 16 * 1024;

const IGNORE: ConnHandlers = { data() {}, closed() {} };

/** One end of a connection, as its owner sees it. */
export class ConnectionEnd implements Conn {
  /** @inheritDoc */
  readonly remote: string;
  /** The other end. */
  peer!: ConnectionEnd;
  readonly #parts: EndParts;
  #handlers: ConnHandlers = IGNORE;
  /** Written, and not yet taken by the pipe. */
  #unsent: Uint8Array[] = [];
  #pendingBytes = 0;
  #needsDrain = false;
  /** Taken by the pipe, and not yet read by the peer. */
  #unreadBytes = 0;
  #lastArrival = 0;
  /** Arrived, and not yet read by us. */
  #arrived: Parcel[] = [];
  #isReading = true;
  #isDelivering = false;
  #hasEnded = false;
  #hasSentEnd = false;
  #hasPeerEnded = false;
  #isClosed = false;

  /** Makes an end; {@linkcode attach} and `peer` complete it. */
  constructor(parts: EndParts) {
    this.#parts = parts;
    this.remote = parts.remote;
  }

  /** Says who is told what happens. */
  attach(handlers: ConnHandlers): void {
    this.#handlers = handlers;
  }

  /** Whose end it is. */
  get owner(): string {
    return this.#parts.owner;
  }

  /** Whether the end is closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @inheritDoc */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** @inheritDoc */
  write(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#hasEnded || bytes.length === 0) return true;
    this.#unsent.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#pump();
    if (this.#pendingBytes <= HIGH_WATER_BYTES) return true;
    this.#needsDrain = true;
    return false;
  }

  /** @inheritDoc */
  end(): void {
    if (this.#isClosed || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#pump();
  }

  /** @inheritDoc */
  destroy(): void {
    if (this.#isClosed) return;
    // A system that has to throw bytes away tells the peer so.
    const isUnread = this.#arrived.some((parcel) => typeof parcel !== "string");
    if (isUnread) this.#send("reset");
    else if (!this.#hasSentEnd) this.#send("end");
    this.#drop();
    this.#parts.timeline.after(0, () => this.#handlers.closed(), this.owner);
  }

  /** Drops the connection as a process does that is killed: the peer is told at once, over all that is under way. */
  reset(): void {
    if (this.#isClosed) return;
    this.#send("reset");
    this.fail(failure("ECONNRESET"));
  }

  /** Closes this end with an error, as the system does for a peer that is gone. */
  fail(error: Error): void {
    if (this.#isClosed) return;
    this.#drop();
    this.#parts.timeline.after(0, () => this.#handlers.closed(error), this.owner);
  }

  /** @inheritDoc */
  setReading(reading: boolean): void {
    this.#isReading = reading;
    this.#deliverSoon();
  }

  /** Bytes enter the pipe as far as its window has room. */
  #pump(): void {
    const { quality: { windowBytes, splitting }, random, timeline } = this.#parts;
    while (this.#unsent.length > 0 && this.#unreadBytes < windowBytes) {
      const [first] = this.#unsent as [Uint8Array];
      const room = Math.min(first.length, windowBytes - this.#unreadBytes);
      const length = room > 1 && random.chance(splitting) ? random.integer(1, room) : room;
      if (length === first.length) this.#unsent.shift();
      else this.#unsent[0] = first.subarray(length);
      this.#pendingBytes -= length;
      this.#unreadBytes += length;
      this.#send(first.subarray(0, length));
    }
    if (this.#unsent.length > 0) return;
    if (this.#needsDrain) {
      this.#needsDrain = false;
      timeline.after(0, () => this.#isClosed || this.#handlers.drain?.(), this.owner);
    }
    if (!this.#hasEnded || this.#hasSentEnd) return;
    this.#hasSentEnd = true;
    this.#send("end");
    this.#closeIfOver();
  }

  #send(parcel: Parcel): void {
    const { timeline, random, quality } = this.#parts;
    const due = timeline.now + quality.latencyMs * (1 + quality.jitter * random.number());
    this.#lastArrival = Math.max(due, this.#lastArrival);
    timeline.after(this.#lastArrival - timeline.now, () => this.peer.#arrive(parcel), "network");
  }

  #arrive(parcel: Parcel): void {
    if (this.#parts.isCut()) return;
    if (parcel === "reset") return this.#failNow(failure("ECONNRESET"));
    if (this.#isClosed) {
      if (parcel !== "end") this.#send("reset");
      return;
    }
    this.#arrived.push(parcel);
    this.#deliver();
  }

  #failNow(error: Error): void {
    if (this.#isClosed) return;
    this.#drop();
    this.#handlers.closed(error);
  }

  /** Hands over one parcel; the others follow, each in its own time, as a system's reads do. */
  #deliver(): void {
    if (!this.#isReading || this.#isClosed || this.#isDelivering) return;
    const parcel = this.#arrived.shift();
    if (parcel === undefined) return;
    if (typeof parcel === "string") {
      this.#hasPeerEnded = true;
      this.#handlers.end?.();
      this.#closeIfOver();
    } else {
      this.#handlers.data(parcel);
      this.peer.#wasRead(parcel.length);
    }
    this.#deliverSoon();
  }

  #deliverSoon(): void {
    if (this.#arrived.length === 0 || !this.#isReading || this.#isClosed || this.#isDelivering) return;
    this.#isDelivering = true;
    this.#parts.timeline.after(0, () => {
      this.#isDelivering = false;
      this.#deliver();
    }, "network");
  }

  #wasRead(length: number): void {
    this.#unreadBytes -= length;
    if (!this.#isClosed) this.#pump();
  }

  #closeIfOver(): void {
    if (!this.#hasSentEnd || !this.#hasPeerEnded || this.#isClosed) return;
    this.#drop();
    this.#parts.timeline.after(0, () => this.#handlers.closed(), this.owner);
  }

  #drop(): void {
    this.#isClosed = true;
    this.#unsent = [];
    this.#arrived = [];
    this.#pendingBytes = 0;
    this.#parts.onClosed(this);
  }
}

/** An error as the system reports it. */
export function failure(code: string): Error {
  return Object.assign(new Error(`${code} (simulated)`), { code });
}
