/**
 * Events over NATS: core subjects, no JetStream, and the bare envelope as the message.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { NatsLink } from "../nats/link.ts";
import { type Clock, delay, type Random } from "../platform/platform.ts";
import {
  decodeEnvelope,
  encodeEnvelope,
  type EventScope,
  EventSequence,
  eventSubject,
  publisherId,
  subjectPrefix,
} from "../protocol/event.ts";
import type { EventTransport } from "../protocol/event_record.ts";
import { DEFAULT_HIGH_WATER_MARK } from "../zmtp/mod.ts";
import {
  bytesOf,
  type EventPlane,
  type EventPublisher,
  type EventStats,
  type Payload,
  type ReadBack,
} from "./event_plane.ts";
import { type NatsCounts, NatsOutbox } from "./nats_outbox.ts";

/** Settings of {@linkcode openNats}. */
export interface NatsOptions {
  /** The connection, which others may use too. */
  readonly link: NatsLink;
  /** Time, but for the library's own. */
  readonly clock: Clock;
  /** Publishers' ids. */
  readonly random: Random;
  /** Log. */
  readonly log: Log;
}

/** Bytes on their way at a time. @unit bytes */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** How long what waits may take to leave when a worker ends, as with ZeroMQ. @unit milliseconds */
const LINGER_MS = 1000;

/** What the publishers of a worker share. */
interface Shared {
  readonly link: NatsLink;
  readonly outbox: NatsOutbox;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Opens the plane: one connection for all publishers of the worker, which is open for as long as they are. */
export function openNats(options: NatsOptions): EventPlane {
  const { link, clock, random, log } = options;
  const full = () => log.warn("Events are lost: NATS takes them too slowly, or has been gone for too long");
  const outbox = new NatsOutbox(link, { ...DEFAULT_HIGH_WATER_MARK, window: WINDOW_BYTES }, full);
  const shared: Shared = { link, outbox, clock, random, log };
  return {
    name: "nats",
    batchesSequences: false,
    publisher: (scope, topic) => Promise.resolve(new NatsPublisher(shared, scope, topic)),
    async [Symbol.asyncDispose]() {
      await linger(shared);
      outbox.clear();
    },
  };
}

/** Waits for what waits, unless nobody is there to take it. */
async function linger({ link, outbox, clock }: Shared): Promise<void> {
  if (!link.isUp) return;
  const idle = new AbortController();
  void outbox.idle().then(() => idle.abort());
  await delay(clock, LINGER_MS, idle.signal);
}

class NatsPublisher implements EventPublisher {
  readonly id: bigint;
  readonly scope: EventScope;
  readonly topic: string;
  readonly transport: EventTransport;
  readonly #shared: Shared;
  readonly #subject: string;
  readonly #sequence: EventSequence;
  readonly #counts: NatsCounts = { dropped: 0, waitingBytes: 0 };
  #published = 0;
  #isTooLongTold = false;
  #isClosed = false;

  constructor(shared: Shared, scope: EventScope, topic: string) {
    this.#shared = shared;
    this.id = publisherId(shared.random.u64());
    this.scope = scope;
    this.topic = topic;
    this.transport = { kind: "Nats", config: { subject_prefix: subjectPrefix(scope) } };
    this.#subject = eventSubject(scope, topic);
    this.#sequence = new EventSequence(this.id, topic);
  }

  get stats(): EventStats {
    return { published: this.#published, cut: 0, ...this.#counts };
  }

  publish(payload: Payload): void {
    if (this.#isClosed) return;
    const { clock, link: { maxPayload }, outbox } = this.#shared;
    this.#published++;
    const bytes = encodeEnvelope(this.#sequence.wrap(bytesOf(payload), clock.wallTime()));
    if (bytes.length > maxPayload) return this.#refuse(bytes.length, maxPayload);
    outbox.add({ subject: this.#subject, bytes, counts: this.#counts });
  }

  readBack(): ReadBack {
    const { link } = this.#shared;
    const message = Promise.withResolvers<void>();
    let fault: Error | null = null;
    const subscription = link.subscribe(this.#subject, {
      take: ({ bytes }) => {
        if (isFrom(this.id, bytes)) message.resolve();
      },
      refused: (error) => fault = error,
    });
    return {
      address: this.#subject,
      begun: link.flush().then((isThere) => isThere ? undefined : new Promise(() => {})),
      message: message.promise,
      get fault() {
        return fault ?? (link.isUp ? null : new Error("the connection to NATS is lost"));
      },
      [Symbol.asyncDispose]: () => Promise.resolve(subscription[Symbol.dispose]()),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    if (this.#counts.waitingBytes > 0) await linger(this.#shared);
  }

  /** Told once: a worker that makes one such message makes many. */
  #refuse(bytes: number, limit: number): void {
    this.#counts.dropped++;
    if (this.#isTooLongTold) return;
    this.#isTooLongTold = true;
    this.#shared.log.warn("Messages of this topic are lost: they are longer than NATS takes; raise its max_payload", {
      topic: this.topic,
      bytes,
      limit,
    });
  }
}

/** Whether a message is of that publisher; others may write what they like to a subject. */
function isFrom(id: bigint, bytes: Uint8Array): boolean {
  try {
    return decodeEnvelope(bytes).publisher_id === id;
  } catch {
    return false;
  }
}
