/**
 * A publisher over a ZeroMQ socket of its own.
 *
 * @module
 */
import type { Clock, Net, Random } from "../platform/platform.ts";
import { decodeZmqFrames, encodeZmqFrames, type EventScope, EventSequence } from "../protocol/event.ts";
import type { EventTransport } from "../protocol/event_record.ts";
import { encodeText } from "../protocol/payload.ts";
import { openSub, type PubSocket } from "../zmtp/mod.ts";
import { bytesOf, type EventPublisher, type EventStats, type Payload, type ReadBack } from "./event_plane.ts";

/** What sockets are made of. */
export interface ZmqWorld {
  /** TCP. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** Chance: publishers' ids, reconnects. */
  readonly random: Random;
}

/** What a {@linkcode ZmqPublisher} is made of. */
export interface ZmqPublisherParts {
  /** The world. */
  readonly world: ZmqWorld;
  /** Its id. */
  readonly id: bigint;
  /** What it speaks for. */
  readonly scope: EventScope;
  /** Its topic. */
  readonly topic: string;
  /** First frame of its messages. */
  readonly subject: string;
  /** What its channel record says. */
  readonly transport: EventTransport | null;
  /** Where messages go; closed with the publisher. */
  readonly pub: PubSocket;
  /** Where subscribers connect. */
  readonly readFrom: readonly string[];
}

/** Numbers messages and writes them as Dynamo's four frames. */
export class ZmqPublisher implements EventPublisher {
  readonly #parts: ZmqPublisherParts;
  readonly #sequence: EventSequence;
  readonly #subject: Uint8Array;
  #published = 0;

  constructor(parts: ZmqPublisherParts) {
    this.#parts = parts;
    this.#subject = encodeText(parts.subject);
    this.#sequence = new EventSequence(parts.id, parts.topic);
  }

  get id(): bigint {
    return this.#parts.id;
  }

  get scope(): EventScope {
    return this.#parts.scope;
  }

  get topic(): string {
    return this.#parts.topic;
  }

  get transport(): EventTransport | null {
    return this.#parts.transport;
  }

  get stats(): EventStats {
    const { dropped, cut, waitingBytes } = this.#parts.pub.stats;
    return { published: this.#published, dropped, cut, waitingBytes };
  }

  publish(payload: Payload): void {
    const { pub, subject, world } = this.#parts;
    this.#published++;
    // Numbers go on all the same, since whoever comes later tells by them what it missed.
    if (!pub.hasSubscriber(this.#subject)) return this.#sequence.skip();
    pub.publish(encodeZmqFrames(this.#sequence.wrap(bytesOf(payload), world.clock.wallTime()), subject));
  }

  readBack(): ReadBack {
    const { world, subject, pub, readFrom, id } = this.#parts;
    const message = Promise.withResolvers<void>();
    let fault: Error | null = null;
    const sub = openSub({
      ...world,
      topics: [subject],
      onEvent: (event) => fault = event.kind === "connected" ? null : event.error ?? fault,
      onMessage: (frames) => {
        if (decodeZmqFrames(frames).envelope.publisher_id === id) message.resolve();
      },
    });
    for (const endpoint of readFrom) sub.connect(endpoint);
    return {
      address: readFrom.join(", "),
      begun: pub.subscribed(subject).then((isSubscribed) => isSubscribed ? undefined : new Promise(() => {})),
      message: message.promise,
      get fault() {
        return fault;
      },
      [Symbol.asyncDispose]: () => sub[Symbol.asyncDispose](),
    };
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#parts.pub[Symbol.asyncDispose]();
  }
}
