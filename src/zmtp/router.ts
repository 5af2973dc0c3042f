/**
 * ROUTER: hears many peers, and answers each of them.
 *
 * @module
 */
import type { Connection, PeerHandlers } from "./connection.ts";
import type { HighWaterMark } from "./limits.ts";
import { Links, type SocketOptions } from "./links.ts";
import { MessageRegion } from "./message_region.ts";

/** Settings of a ROUTER socket. */
export interface RouterOptions extends SocketOptions {
  /** Bounds of what waits for each peer; those left out have their defaults. */
  readonly highWaterMark?: Partial<HighWaterMark>;
  /**
   * Called for each message, in the order in which each peer sent them. The parts are valid during the call only; those
   * of a REQ begin with an empty one. What it throws closes the connection.
   */
  readonly onMessage: (peer: RouterPeer, parts: readonly Uint8Array[]) => void;
}

/** Who sent a message. */
export interface RouterPeer {
  /**
   * Sends a message to it; `false` if it is gone or does not read, and the message was not taken. Copies the parts before
   * it returns.
   *
   * @throws {RangeError} If there is no part.
   */
  send(parts: readonly Uint8Array[]): boolean;
}

/** A ROUTER socket. Disposing it sends what waits, for as long as it may linger, and closes everything. */
export interface RouterSocket extends AsyncDisposable {
  /**
   * Listens for peers and returns the endpoint with its real port. May be called several times.
   *
   * @throws {SyntaxError} If it is no endpoint.
   * @throws {Error} If it cannot be listened on, or the socket is closed.
   */
  bind(endpoint: string): Promise<string>;
}

/** Makes a ROUTER socket, which is not bound. Peers are objects here, so their identities do not matter. */
export function openRouter(options: RouterOptions): RouterSocket {
  const links: Links = new Links(options, {
    socketType: "ROUTER",
    highWaterMark: options.highWaterMark,
    maxFrameBytes: (limits) => limits.maxMessageBytes,
    ready: (connection) => new Peer(connection, options.onMessage),
  });
  return {
    bind: (endpoint) => links.bind(endpoint),
    [Symbol.asyncDispose]: () => links.close(),
  };
}

class Peer implements RouterPeer, PeerHandlers {
  readonly #region = new MessageRegion();
  readonly #onMessage: RouterOptions["onMessage"];
  #connection: Connection | null;

  constructor(connection: Connection, onMessage: RouterOptions["onMessage"]) {
    this.#connection = connection;
    this.#onMessage = onMessage;
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (parts.length === 0) throw new RangeError("Cannot send a message without parts");
    if (this.#connection === null) return false;
    this.#region.append(parts);
    return this.#connection.outbox.add(this.#region.bytes, this.#region.start, this.#region.end);
  }

  message(parts: readonly Uint8Array[]): void {
    this.#onMessage(this, parts);
  }

  closed(): void {
    this.#connection = null;
  }
}
