/**
 * SUB: receives messages of the topics it subscribed to.
 *
 * @module
 */
import type { Connection, PeerHandlers } from "./connection.ts";
import { Links, type SocketOptions } from "./links.ts";
import { Subscriptions } from "./subscriptions.ts";
import { topicBytes } from "./topic.ts";

/** Settings of a SUB socket. */
export interface SubOptions extends SocketOptions {
  /** Topics subscribed to from the start; a message matches if its first part begins with one. `""` means all. */
  readonly topics?: readonly (string | Uint8Array)[];
  /**
   * Called for each message, in the order of its publisher. The parts are valid during the call only. What it throws
   * closes the connection, which is then dialled again.
   *
   * @param remote Address of the publisher.
   */
  readonly onMessage: (parts: readonly Uint8Array[], remote: string) => void;
}

/** Counts since the socket was opened, and gauges. */
export interface SubStats {
  /** Publishers that are ready. */
  readonly publishers: number;
  /** Messages given to `onMessage`. */
  readonly received: number;
  /** Messages of other topics, which a publisher may send for a moment after a subscription ends. */
  readonly filtered: number;
}

/**
 * A SUB socket. Disposing it closes everything; afterwards no message comes.
 *
 * It receives what is published from the moment its subscription has reached the publisher. What a publisher sends while
 * the connection is lost is missed: a sequence number in the message is the only way to notice.
 */
export interface SubSocket extends AsyncDisposable {
  /**
   * Connects to a publisher, again and again. May be called several times. Disposing what it returns closes that
   * connection.
   *
   * @throws {SyntaxError} If it is no endpoint that can be dialled.
   * @throws {Error} If the socket is closed.
   */
  connect(endpoint: string): Disposable;
  /**
   * Listens for publishers that connect and returns the endpoint with its real port. May be called several times.
   *
   * @throws {SyntaxError} If it is no endpoint.
   * @throws {Error} If it cannot be listened on, or the socket is closed.
   */
  bind(endpoint: string): Promise<string>;
  /** Subscribes to one more topic, at every publisher. Topics are counted. */
  subscribe(topic: string | Uint8Array): void;
  /** Takes one subscription to a topic back. */
  unsubscribe(topic: string | Uint8Array): void;
  /** Stops or resumes reading, at every publisher; messages then wait there, up to its high-water mark. */
  setReading(reading: boolean): void;
  /** What it did so far. */
  readonly stats: SubStats;
}

/** Makes a SUB socket, which is neither bound nor connected. */
export function openSub(options: SubOptions): SubSocket {
  return new Sub(options);
}

class Sub implements SubSocket {
  readonly #links: Links;
  readonly #onMessage: SubOptions["onMessage"];
  readonly #topics = new Subscriptions();
  readonly #publishers = new Set<Connection>();
  #isReading = true;
  #received = 0;
  #filtered = 0;

  constructor(options: SubOptions) {
    this.#onMessage = options.onMessage;
    for (const topic of options.topics ?? []) this.#topics.add(topicBytes(topic));
    this.#links = new Links(options, {
      socketType: "SUB",
      maxFrameBytes: (limits) => limits.maxMessageBytes,
      ready: (peer) => this.#welcome(peer),
    });
  }

  connect(endpoint: string): Disposable {
    return this.#links.connect(endpoint);
  }

  bind(endpoint: string): Promise<string> {
    return this.#links.bind(endpoint);
  }

  subscribe(topic: string | Uint8Array): void {
    const bytes = topicBytes(topic);
    if (this.#topics.add(bytes)) this.#tell(bytes, true);
  }

  unsubscribe(topic: string | Uint8Array): void {
    const bytes = topicBytes(topic);
    if (this.#topics.remove(bytes)) this.#tell(bytes, false);
  }

  setReading(reading: boolean): void {
    this.#isReading = reading;
    for (const peer of this.#publishers) peer.setReading(reading);
  }

  get stats(): SubStats {
    return { publishers: this.#publishers.size, received: this.#received, filtered: this.#filtered };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#links.close();
  }

  #tell(topic: Uint8Array, isWanted: boolean): void {
    for (const peer of this.#publishers) peer.sendSubscription({ topic, isWanted });
  }

  #welcome(peer: Connection): PeerHandlers {
    this.#publishers.add(peer);
    for (const topic of this.#topics.topics) peer.sendSubscription({ topic, isWanted: true });
    if (!this.#isReading) peer.setReading(false);
    return {
      message: (parts) => {
        if (!this.#topics.matches(parts[0]!)) return void this.#filtered++;
        this.#received++;
        this.#onMessage(parts, peer.remote);
      },
      closed: () => void this.#publishers.delete(peer),
    };
  }
}
