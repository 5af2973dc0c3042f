/**
 * Keeps one connection to an endpoint.
 *
 * @module
 */
import type { Clock, Conn, Net, Random, SocketAddress } from "../platform/platform.ts";
import type { Connection } from "./connection.ts";
import { ZmtpError } from "./error.ts";

/** Pauses between attempts to connect. Each is twice the last, give or take a quarter, until a peer is ready. */
export interface ReconnectOptions {
  /** First pause. @unit milliseconds @default 100 */
  readonly minMs: number;
  /** Longest pause. @unit milliseconds @default 5000 */
  readonly maxMs: number;
}

/** Pauses where none are given. @source dynamo-llm 1.6.1, ZMQ event source: 100 ms to 5 s */
export const DEFAULT_RECONNECT: ReconnectOptions = { minMs: 100, maxMs: 5000 };

/** Time for one attempt to connect. @unit milliseconds */
const DIAL_TIMEOUT_MS = 10_000;

/** What a dialer works with. */
export interface DialerOptions {
  /** Sockets. */
  readonly net: Net;
  /** Time and timers. */
  readonly clock: Clock;
  /** Spreads attempts of many sockets. */
  readonly random: Random;
  /** Pauses. */
  readonly reconnect: ReconnectOptions;
  /** Makes a connection for the next attempt; `onClosed` is called once it was attached and is gone again. */
  readonly open: (onClosed: () => void) => Connection;
  /** Takes a connection that was made. */
  readonly attach: (connection: Connection, conn: Conn) => void;
  /** Told of each attempt that failed. */
  readonly onUnreachable: (error: Error) => void;
}

/** Dials until it is stopped, and again whenever the connection is lost. */
export class Dialer {
  readonly #address: SocketAddress;
  readonly #options: DialerOptions;
  readonly #stopped = new AbortController();
  #attempts = 0;
  #timer: Disposable | null = null;
  #dialing: Promise<void> = Promise.resolve();

  /** Makes one and begins to dial. */
  constructor(address: SocketAddress, options: DialerOptions) {
    this.#address = address;
    this.#options = options;
    this.#dialing = this.#dial();
  }

  /** The peer is ready: the next pause is the shortest again. */
  succeeded(): void {
    this.#attempts = 0;
  }

  /** Dials no more; a connection that is there is left alone. Resolves when no attempt is under way. */
  stop(): Promise<void> {
    this.#stopped.abort();
    this.#timer?.[Symbol.dispose]();
    return this.#dialing;
  }

  async #dial(): Promise<void> {
    const { net, clock, open, attach, onUnreachable } = this.#options;
    const attempt = new AbortController();
    const stop = () => attempt.abort(this.#stopped.signal.reason);
    this.#stopped.signal.addEventListener("abort", stop);
    const timer = clock.timer(DIAL_TIMEOUT_MS, () => {
      attempt.abort(new ZmtpError("timeout", `No answer within ${DIAL_TIMEOUT_MS} ms`));
    });
    try {
      const connection = open(() => this.#retry());
      attach(connection, await net.dial(this.#address, connection, attempt.signal));
      if (this.#stopped.signal.aborted) connection.fail();
    } catch (error) {
      if (!this.#stopped.signal.aborted) onUnreachable(error as Error);
      this.#retry();
    } finally {
      timer[Symbol.dispose]();
      this.#stopped.signal.removeEventListener("abort", stop);
    }
  }

  #retry(): void {
    if (this.#stopped.signal.aborted) return;
    const { clock, random, reconnect: { minMs, maxMs } } = this.#options;
    const pauseMs = Math.min(maxMs, minMs * 2 ** Math.min(this.#attempts++, 30));
    this.#timer = clock.timer(pauseMs * (0.75 + random.number() / 2), () => {
      this.#dialing = this.#dial();
    });
  }
}
