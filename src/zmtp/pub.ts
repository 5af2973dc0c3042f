/**
 * PUB: sends messages to everybody who subscribed to their topic.
 *
 * @module
 */
import type { Connection, PeerHandlers } from "./connection.ts";
import { ZmtpError } from "./error.ts";
import type { HighWaterMark } from "./limits.ts";
import { Links, type SocketOptions } from "./links.ts";
import { MessageRegion } from "./message_region.ts";
import { decodeSubscriptionMessage, type SubscriptionChange, Subscriptions } from "./subscriptions.ts";
import { topicBytes } from "./topic.ts";

/** Settings of a PUB socket. */
export interface PubOptions extends SocketOptions {
  /** Bounds of what waits for each subscriber; those left out have their defaults. */
  readonly highWaterMark?: Partial<HighWaterMark>;
  /**
   * What happens to a subscriber at its high-water mark.
   *
   * `cut` closes its connection and forgets what waited for it. The subscriber connects again, misses one stretch of
   * messages and, if they are numbered, sees that with the next one. `drop` keeps the connection and drops new messages
   * until half of the mark is free again, so that it also misses one stretch rather than every other message; but what
   * it reads first is old.
   *
   * @default "cut"
   */
  readonly slowSubscriber?: "cut" | "drop";
}

/** Counts since the socket was opened, and gauges. */
export interface PubStats {
  /** Subscribers that are ready, whatever they subscribed to. */
  readonly subscribers: number;
  /** Messages published. */
  readonly published: number;
  /** Copies of messages given to the system, one for each subscriber that wanted them. */
  readonly sent: number;
  /** Copies that never will be: at the high-water mark, or waiting when the connection was lost. */
  readonly dropped: number;
  /** Subscribers cut for being slow. */
  readonly cut: number;
  /** Copies that wait. */
  readonly waitingMessages: number;
  /** Bytes that wait, those included that the system has not taken yet. @unit bytes */
  readonly waitingBytes: number;
}

/** A PUB socket. Disposing it sends what waits, for as long as it may linger, and closes everything. */
export interface PubSocket extends AsyncDisposable {
  /**
   * Listens for subscribers and returns the endpoint with its real port. May be called several times.
   *
   * @throws {SyntaxError} If it is no endpoint.
   * @throws {Error} If it cannot be listened on, or the socket is closed.
   */
  bind(endpoint: string): Promise<string>;
  /**
   * Connects to a subscriber that is bound, such as a broker's XSUB, again and again. May be called several times.
   * Disposing what it returns closes that connection.
   *
   * @throws {SyntaxError} If it is no endpoint that can be dialled.
   * @throws {Error} If the socket is closed.
   */
  connect(endpoint: string): Disposable;
  /**
   * Sends a message to each subscriber whose topic the first part begins with, and returns to how many. Copies the parts
   * before it returns, never waits, and keeps nothing for those who come later. After closing it does nothing.
   *
   * All messages of a turn of the event loop leave together at its end, or earlier if they are many.
   *
   * @throws {RangeError} If there is no part.
   */
  publish(parts: readonly Uint8Array[]): number;
  /** Whether somebody would get a message of that topic. */
  hasSubscriber(topic: string | Uint8Array): boolean;
  /** Resolves with `true` as soon as somebody would, with `false` if the socket closes or `signal` aborts first. */
  subscribed(topic: string | Uint8Array, signal?: AbortSignal): Promise<boolean>;
  /** What it did so far. */
  readonly stats: PubStats;
}

/** Frame overhead of a subscription, in either form. @unit bytes */
const SUBSCRIPTION_HEAD_BYTES = 10;

/** Makes a PUB socket, which is neither bound nor connected. */
export function openPub(options: PubOptions): PubSocket {
  return new Pub(options);
}

interface Subscriber {
  readonly peer: Connection;
  readonly topics: Subscriptions;
  /** Reached the high-water mark and is not low yet. */
  isSkipped: boolean;
}

interface Waiter {
  readonly topic: Uint8Array;
  readonly done: (isSubscribed: boolean) => void;
}

class Pub implements PubSocket {
  readonly #links: Links;
  readonly #cutsSlow: boolean;
  readonly #subscribers = new Set<Subscriber>();
  readonly #waiters = new Set<Waiter>();
  readonly #region = new MessageRegion();
  #published = 0;
  /** Of subscribers that are gone. */
  #sent = 0;
  #dropped = 0;
  #cut = 0;
  #isClosed = false;

  constructor(options: PubOptions) {
    this.#cutsSlow = (options.slowSubscriber ?? "cut") === "cut";
    this.#links = new Links(options, {
      socketType: "PUB",
      highWaterMark: options.highWaterMark,
      maxFrameBytes: (limits) => limits.maxTopicBytes + SUBSCRIPTION_HEAD_BYTES,
      ready: (peer) => this.#welcome(peer),
    });
  }

  bind(endpoint: string): Promise<string> {
    return this.#links.bind(endpoint);
  }

  connect(endpoint: string): Disposable {
    return this.#links.connect(endpoint);
  }

  publish(parts: readonly Uint8Array[]): number {
    const [topic] = parts;
    if (topic === undefined) throw new RangeError("Cannot publish a message without parts");
    if (this.#isClosed) return 0;
    this.#published++;
    const region = this.#region;
    let isEncoded = false;
    let count = 0;
    for (const subscriber of this.#subscribers) {
      if (!subscriber.topics.matches(topic)) continue;
      if (!isEncoded) region.append(parts);
      isEncoded = true;
      if (this.#send(subscriber, region)) count++;
    }
    return count;
  }

  hasSubscriber(topic: string | Uint8Array): boolean {
    const bytes = typeof topic === "string" ? topicBytes(topic) : topic;
    for (const { topics } of this.#subscribers) if (topics.matches(bytes)) return true;
    return false;
  }

  subscribed(topic: string | Uint8Array, signal?: AbortSignal): Promise<boolean> {
    const bytes = topicBytes(topic);
    if (this.#isClosed || signal?.aborted || this.hasSubscriber(bytes)) {
      return Promise.resolve(!this.#isClosed && !signal?.aborted);
    }
    return new Promise((resolve) => {
      const abort = () => waiter.done(false);
      const waiter: Waiter = {
        topic: bytes,
        done: (isSubscribed) => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener("abort", abort);
          resolve(isSubscribed);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", abort);
    });
  }

  get stats(): PubStats {
    let sent = this.#sent;
    let waitingMessages = 0;
    let waitingBytes = 0;
    for (const { peer: { outbox } } of this.#subscribers) {
      sent += outbox.sent;
      waitingMessages += outbox.messages;
      waitingBytes += outbox.bytes;
    }
    return {
      subscribers: this.#subscribers.size,
      published: this.#published,
      sent,
      dropped: this.#dropped,
      cut: this.#cut,
      waitingMessages,
      waitingBytes,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const waiter of [...this.#waiters]) waiter.done(false);
    return this.#links.close();
  }

  #send(subscriber: Subscriber, { bytes, start, end }: MessageRegion): boolean {
    const { outbox } = subscriber.peer;
    if (subscriber.isSkipped && outbox.isLow) subscriber.isSkipped = false;
    if (!subscriber.isSkipped && outbox.add(bytes, start, end)) return true;
    this.#dropped++;
    if (!this.#cutsSlow) subscriber.isSkipped = true;
    else this.#cutOff(subscriber);
    return false;
  }

  #cutOff(subscriber: Subscriber): void {
    const { outbox } = subscriber.peer;
    this.#cut++;
    // Not left to `closed`, which comes a turn later: what is published until then is none of its business.
    this.#remove(subscriber);
    const waiting = `${outbox.messages} messages, ${outbox.bytes} bytes`;
    subscriber.peer.fail(new ZmtpError("slow", `The subscriber does not read fast enough (waiting: ${waiting})`));
  }

  #welcome(peer: Connection): PeerHandlers {
    const topics = new Subscriptions(this.#links.limits.maxSubscriptions);
    const subscriber: Subscriber = { peer, topics, isSkipped: false };
    this.#subscribers.add(subscriber);
    const change = ({ topic, isWanted }: SubscriptionChange) => {
      if (!isWanted) return void topics.remove(topic);
      if (topics.add(topic)) this.#tellWaiters(topics);
    };
    return {
      subscription: change,
      message(parts) {
        const subscription = decodeSubscriptionMessage(parts);
        // An XSUB may send messages of its own upstream, which a PUB has no use for.
        if (subscription !== null) change(subscription);
      },
      closed: () => this.#remove(subscriber),
    };
  }

  #remove(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return;
    const { outbox } = subscriber.peer;
    this.#sent += outbox.sent;
    this.#dropped += outbox.messages;
  }

  #tellWaiters(topics: Subscriptions): void {
    for (const waiter of [...this.#waiters]) if (topics.matches(waiter.topic)) waiter.done(true);
  }
}
