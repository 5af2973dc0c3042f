/**
 * The event-plane seam: how a worker tells routers and planners what happens in it. Delivery is best effort.
 *
 * @module
 */
import type { EventScope } from "../protocol/event.ts";
import type { EventTransport } from "../protocol/event_record.ts";

/** Figures of a publisher since it was opened. */
export interface EventStats {
  /** Messages published. */
  readonly published: number;
  /** Copies of messages that will not arrive: nobody could take them, or a subscriber was too slow. */
  readonly dropped: number;
  /** Subscribers cut for being slow. */
  readonly cut: number;
  /** Bytes that wait. @unit bytes */
  readonly waitingBytes: number;
}

/** A subscription of a publisher to itself, to prove that others can read it. Disposing it ends it. */
export interface ReadBack extends AsyncDisposable {
  /** Where it reads. */
  readonly address: string;
  /** Resolves when what is published from now on should come back; never if that cannot be. */
  readonly begun: Promise<void>;
  /** Resolves when a message has come back; never if none does. */
  readonly message: Promise<void>;
  /** What stands in the way at present. */
  readonly fault: Error | null;
}

/** What a message says, or what makes it. */
export type Payload = Uint8Array | (() => Uint8Array);

/** The bytes of a payload, made now if they are not there yet. */
export function bytesOf(payload: Payload): Uint8Array {
  return typeof payload === "function" ? payload() : payload;
}

/** One publisher of one topic. Disposing it sends what waits, for a moment, and ends it. */
export interface EventPublisher extends AsyncDisposable {
  /** Its own identity, new with every process. */
  readonly id: bigint;
  /** What it speaks for. */
  readonly scope: EventScope;
  /** Its topic. */
  readonly topic: string;
  /** What its channel record says; `null` if subscribers need none. */
  readonly transport: EventTransport | null;
  /**
   * Sends one message. It never waits and never throws.
   *
   * @param payload The payload, or what makes it; that is not called where nobody would get the message.
   */
  publish(payload: Payload): void;
  /** Subscribes to its own messages the way a subscriber elsewhere would. */
  readBack(): ReadBack;
  /** What it did so far. */
  readonly stats: EventStats;
}

/** Opens publishers. Disposing it ends all of them. */
export interface EventPlane extends AsyncDisposable {
  /** Name of the plane, as in `--event-plane`. */
  readonly name: string;
  /** Whether messages of `active_sequences_events` hold several events rather than one. */
  readonly batchesSequences: boolean;
  /** Opens a publisher. Nobody hears of it before its records are in discovery. @throws {Error} If it cannot be opened. */
  publisher(scope: EventScope, topic: string): Promise<EventPublisher>;
}
