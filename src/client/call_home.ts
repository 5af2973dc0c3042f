/**
 * The frontend's half of the response plane: workers call home here, one connection a request.
 *
 * @module
 */
import type { Clock, Conn, ConnHandlers, Listener, Net, SocketAddress } from "../platform/platform.ts";
import { decodeWorkerHeader, encodeFrontendWord } from "../protocol/control.ts";
import { TwoPartParser } from "../protocol/frame.ts";
import type { Call } from "./call.ts";
import { brokenProtocol } from "./client_error.ts";
import { Deadlines } from "./deadlines.ts";

/** Settings of a {@linkcode CallHomeListener}. */
export interface CallHomeOptions {
  /** TCP. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** Where to listen. */
  readonly address: SocketAddress;
  /** Time a worker has from connecting to saying which request it answers. @unit milliseconds */
  readonly handshakeTimeoutMs: number;
  /** Time connections have to close when the listener is disposed. @unit milliseconds */
  readonly closeTimeoutMs: number;
  /** Longest response frame taken. @unit bytes */
  readonly maxFrameBytes: number;
}

/** Subjects of dropped requests that are remembered, so that a worker that calls late is told `kill`. */
const MAX_DROPPED = 10_000;
const KILL = encodeFrontendWord("kill");

/** Listens for workers and hands each connection to the call it belongs to. */
export class CallHomeListener implements AsyncDisposable {
  readonly #options: CallHomeOptions;
  readonly #waiting = new Map<string, Call>();
  readonly #dropped = new Set<string>();
  readonly #conns = new Set<Conn>();
  readonly #handshakes: Deadlines;
  #listener: Listener | null = null;
  #whenEmpty: (() => void) | null = null;

  /** Makes a listener that does not listen yet. */
  constructor(options: CallHomeOptions) {
    this.#options = options;
    this.#handshakes = new Deadlines(options.clock, options.handshakeTimeoutMs);
  }

  /** Starts listening. */
  async open(): Promise<void> {
    this.#listener = await this.#options.net.listen(this.#options.address, (conn) => this.#accept(conn));
  }

  /** Where it listens. */
  get address(): SocketAddress {
    return this.#listener?.address ?? this.#options.address;
  }

  /** Calls whose worker has not called home yet. */
  get waiting(): Iterable<Call> {
    return this.#waiting.values();
  }

  /** Lets the worker call home with the call's subject, once. */
  expect(call: Call): void {
    this.#waiting.set(call.subject, call);
  }

  /** The call is over or answered; with `wasSent`, a worker that still calls home for it is told `kill`. */
  forget(call: Call, wasSent: boolean): void {
    if (!this.#waiting.delete(call.subject) || !wasSent) return;
    this.#dropped.add(call.subject);
    if (this.#dropped.size > MAX_DROPPED) {
      for (const oldest of this.#dropped) {
        this.#dropped.delete(oldest);
        break;
      }
    }
  }

  /** Closes the listener and every connection; calls must have ended before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
    this.#handshakes[Symbol.dispose]();
    if (this.#conns.size === 0) return;
    for (const conn of this.#conns) conn.end();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty = resolve;
    using _cutOff = this.#options.clock.timer(this.#options.closeTimeoutMs, () => {
      for (const conn of this.#conns) conn.destroy();
    });
    await promise;
  }

  #accept(conn: Conn): ConnHandlers {
    this.#conns.add(conn);
    const parser = new TwoPartParser(this.#options.maxFrameBytes);
    const handshake = this.#handshakes.add(() => conn.destroy());
    let call: Call | null = null;
    let isRefused = false;
    return {
      data: (bytes) => {
        if (isRefused) return;
        try {
          // Decoded items may keep views of binary members, so they get bytes of their own.
          parser.push(bytes.slice(), (frame) => {
            if (call !== null) return call.take(frame);
            if (isRefused) return;
            handshake[Symbol.dispose]();
            call = this.#claim(frame.header, conn);
            isRefused = call === null;
          });
          (call as Call | null)?.taken();
        } catch (cause) {
          isRefused = true;
          if (call === null) conn.destroy();
          else (call as Call).fail(brokenProtocol("cannot read response", cause));
        }
      },
      end: () => call === null ? conn.destroy() : call.peerEnded(),
      closed: (error) => {
        handshake[Symbol.dispose]();
        this.#conns.delete(conn);
        call?.closed(error);
        if (this.#conns.size === 0) this.#whenEmpty?.();
      },
    };
  }

  /** Finds the call of a handshake; tells the worker when there is none. */
  #claim(header: Uint8Array, conn: Conn): Call | null {
    const said = decodeWorkerHeader(header);
    const subject = said.kind === "handshake" ? said.subject : "";
    const call = this.#waiting.get(subject);
    if (call !== undefined) {
      this.#waiting.delete(subject);
      call.greet(conn);
      return call;
    }
    // A subject nobody asked for is dropped without a word, like in Dynamo's frontend.
    if (!this.#dropped.delete(subject)) {
      conn.destroy();
      return null;
    }
    conn.write(KILL);
    conn.end();
    this.#handshakes.add(() => conn.destroy());
    return null;
  }
}
