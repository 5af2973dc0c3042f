/**
 * DEALER: asks one ROUTER, and hears what it answers.
 *
 * @module
 */
import type { Connection, PeerHandlers } from "./connection.ts";
import type { HighWaterMark } from "./limits.ts";
import { Links, type SocketOptions } from "./links.ts";
import { MessageRegion } from "./message_region.ts";

/** Settings of a DEALER socket. */
export interface DealerOptions extends SocketOptions {
  /** Where the ROUTER, REP or DEALER is bound. */
  readonly endpoint: string;
  /** Name under which a ROUTER knows us; it chooses one if there is none. At most 255 bytes, the first not zero. */
  readonly identity?: Uint8Array;
  /** Bounds of what waits to be sent; those left out have their defaults. */
  readonly highWaterMark?: Partial<HighWaterMark>;
  /** Called whenever the peer is ready, also after a lost connection: questions without an answer may be asked again. */
  readonly onReady?: () => void;
  /**
   * Called for each message, in order. The parts are valid during the call only. What it throws closes the connection,
   * which is then dialled again.
   */
  readonly onMessage: (parts: readonly Uint8Array[]) => void;
}

/** A DEALER socket. Disposing it sends what waits, for as long as it may linger, and closes everything. */
export interface DealerSocket extends AsyncDisposable {
  /** Whether the peer is ready. */
  readonly isReady: boolean;
  /**
   * Sends a message; `false` if the peer is not ready or does not read, and it was not taken. Copies the parts before it
   * returns. What was taken is lost if the connection is.
   *
   * A REP, or a ROUTER that expects REQ, wants an empty first part.
   *
   * @throws {RangeError} If there is no part.
   */
  send(parts: readonly Uint8Array[]): boolean;
}

/**
 * Makes a DEALER socket and begins to dial.
 *
 * @throws {SyntaxError} If `endpoint` is no endpoint that can be dialled.
 * @throws {RangeError} If `identity` cannot be one.
 */
export function openDealer(options: DealerOptions): DealerSocket {
  const { length, 0: first } = options.identity ?? [];
  if (length > 255 || first === 0) {
    throw new RangeError(`An identity of ${length} bytes cannot be used: at most 255, the first of them not zero`);
  }
  return new Dealer(options);
}

class Dealer implements DealerSocket {
  readonly #links: Links;
  readonly #options: DealerOptions;
  readonly #region = new MessageRegion();
  #peer: Connection | null = null;

  constructor(options: DealerOptions) {
    this.#options = options;
    const { highWaterMark, identity = new Uint8Array(0) } = options;
    this.#links = new Links(options, {
      socketType: "DEALER",
      identity,
      highWaterMark,
      maxFrameBytes: (limits) => limits.maxMessageBytes,
      ready: (peer) => this.#welcome(peer),
    });
    this.#links.connect(options.endpoint);
  }

  get isReady(): boolean {
    return this.#peer !== null;
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (parts.length === 0) throw new RangeError("Cannot send a message without parts");
    if (this.#peer === null) return false;
    const region = this.#region;
    region.append(parts);
    return this.#peer.outbox.add(region.bytes, region.start, region.end);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#peer = null;
    return this.#links.close();
  }

  #welcome(peer: Connection): PeerHandlers {
    this.#peer = peer;
    return {
      begin: () => this.#options.onReady?.(),
      message: (parts) => this.#options.onMessage(parts),
      closed: () => this.#peer = null,
    };
  }
}
