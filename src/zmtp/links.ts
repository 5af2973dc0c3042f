/**
 * All connections of one socket, those it accepts and those it dials.
 *
 * @module
 */
import {
  type Clock,
  type Conn,
  delay,
  type Listener,
  listenFault,
  type Net,
  type Random,
} from "../platform/platform.ts";
import { Connection, type ConnectionSettings, type PeerHandlers } from "./connection.ts";
import { DEFAULT_RECONNECT, Dialer, type ReconnectOptions } from "./dialer.ts";
import { dialAddress, formatEndpoint, listenAddress } from "./endpoint.ts";
import { ZmtpError } from "./error.ts";
import type { HeartbeatOptions } from "./heartbeat.ts";
import { DEFAULT_HIGH_WATER_MARK, DEFAULT_LIMITS, type HighWaterMark, type Limits } from "./limits.ts";
import type { SocketType } from "./socket_type.ts";

/** News of a socket's connections, for log lines and metrics. */
export interface SocketEvent {
  /**
   * `connected`: a peer is ready. `disconnected`: a connection is gone, also one that never became ready; `error` says
   * why, unless either side closed it in order. `unreachable`: an attempt to connect failed, and another will follow.
   */
  readonly kind: "connected" | "disconnected" | "unreachable";
  /** The endpoint that was bound or connected. */
  readonly endpoint: string;
  /** Address of the peer; empty if it is unreachable. */
  readonly remote: string;
  /** Why; often a {@linkcode ZmtpError}. */
  readonly error?: Error;
}

/** Settings of every socket. */
export interface SocketOptions {
  /** TCP. */
  readonly net: Net;
  /** Time and timers. */
  readonly clock: Clock;
  /** Chance, for the pauses between attempts to connect. */
  readonly random: Random;
  /** Bounds on what a peer may ask for; those left out have their defaults. */
  readonly limits?: Partial<Limits>;
  /** PINGs of our own; without, silence is left to TCP's keep-alive. PINGs of peers are always answered. @default none */
  readonly heartbeat?: HeartbeatOptions;
  /** Pauses between attempts to connect; those left out have their defaults. */
  readonly reconnect?: Partial<ReconnectOptions>;
  /** How long closing may take to send what waits. @unit milliseconds @default 1000 */
  readonly lingerMs?: number;
  /** Told of connections that come and go. It must not throw. */
  readonly onEvent?: (event: SocketEvent) => void;
}

/** What a kind of socket adds. */
export interface SocketKind {
  /** Its kind. */
  readonly socketType: SocketType;
  /** Bounds of what waits for a peer; those left out have their defaults. */
  readonly highWaterMark?: Partial<HighWaterMark> | undefined;
  /** Name for a ROUTER. */
  readonly identity?: Uint8Array;
  /** Longest frame a ready peer may send. */
  readonly maxFrameBytes: (limits: Limits) => number;
  /** Called when a peer is ready. */
  readonly ready: (peer: Connection) => PeerHandlers;
}

const DEFAULT_LINGER_MS = 1000;

/** Binds, dials, counts and closes; the kind of socket says what happens with a peer. */
export class Links {
  /** The limits in force. */
  readonly limits: Limits;
  readonly #options: SocketOptions;
  readonly #settings: Omit<ConnectionSettings, "ready">;
  readonly #ready: (peer: Connection) => PeerHandlers;
  readonly #listeners: Listener[] = [];
  readonly #dialers = new Set<Dialer>();
  readonly #connections = new Set<Connection>();
  #accepted = 0;
  #closing: Promise<void> | null = null;
  #onEmpty: (() => void) | null = null;

  /** Makes a set without connections. */
  constructor(options: SocketOptions, kind: SocketKind) {
    const { socketType, identity, highWaterMark } = kind;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#options = options;
    this.#ready = kind.ready;
    this.#settings = {
      clock: options.clock,
      limits: this.limits,
      highWaterMark: { ...DEFAULT_HIGH_WATER_MARK, ...highWaterMark },
      socketType,
      maxFrameBytes: kind.maxFrameBytes(this.limits),
      ...(identity === undefined ? {} : { identity }),
      ...(options.heartbeat === undefined ? {} : { heartbeat: options.heartbeat }),
    };
  }

  /**
   * Listens and returns the endpoint with its real port.
   *
   * @throws {SyntaxError} If it is no endpoint.
   * @throws {Error} If it cannot be listened on, or the socket is closed.
   */
  async bind(endpoint: string): Promise<string> {
    const address = listenAddress(endpoint);
    this.#checkOpen();
    let listener: Listener;
    try {
      listener = await this.#options.net.listen(address, (conn) => {
        const connection = this.#open(endpoint, () => {}, () => this.#accepted--);
        this.#attach(connection, conn);
        const { maxPeers } = this.limits;
        // The one over the limit is closed like any other, so it is counted too.
        if (++this.#accepted > maxPeers) connection.fail(new ZmtpError("limit", `More than ${maxPeers} peers connect`));
        else if (this.#closing !== null) connection.fail();
        return connection;
      });
    } catch (cause) {
      throw new Error(`Cannot bind ${endpoint}: ${listenFault(cause)}`, { cause });
    }
    if (this.#closing !== null) {
      await listener[Symbol.asyncDispose]();
      this.#checkOpen();
    }
    this.#listeners.push(listener);
    return formatEndpoint(listener.address);
  }

  /**
   * Dials until disposed, again whenever the connection is lost. Disposing sends what waits and closes the connection.
   *
   * @throws {SyntaxError} If it is no endpoint that can be dialled.
   * @throws {Error} If the socket is closed.
   */
  connect(endpoint: string): Disposable {
    const address = dialAddress(endpoint);
    this.#checkOpen();
    const { net, clock, random, reconnect } = this.#options;
    let connection: Connection | null = null;
    const dialer: Dialer = new Dialer(address, {
      net,
      clock,
      random,
      reconnect: { ...DEFAULT_RECONNECT, ...reconnect },
      open: (onClosed) => connection = this.#open(endpoint, () => dialer.succeeded(), onClosed),
      attach: (connection, conn) => this.#attach(connection, conn),
      onUnreachable: (error) => this.#tell({ kind: "unreachable", endpoint, remote: "", error }),
    });
    this.#dialers.add(dialer);
    return {
      [Symbol.dispose]: () => {
        if (!this.#dialers.delete(dialer)) return;
        void dialer.stop();
        connection?.close();
      },
    };
  }

  /** Stops listening and dialling, sends what waits for as long as it may, and drops the rest. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const listening = this.#listeners.map((listener) => listener[Symbol.asyncDispose]());
    const dialling = [...this.#dialers].map((dialer) => dialer.stop());
    for (const connection of [...this.#connections]) connection.close();
    await Promise.all(dialling);
    const empty = new AbortController();
    const gone = new Promise<void>((resolve) => this.#onEmpty = resolve);
    void gone.then(() => empty.abort());
    this.#checkEmpty();
    await delay(this.#options.clock, this.#options.lingerMs ?? DEFAULT_LINGER_MS, empty.signal);
    for (const connection of [...this.#connections]) connection.fail();
    await gone;
    await Promise.all(listening);
  }

  #open(endpoint: string, onReady: () => void, onClosed: () => void): Connection {
    const ready = (peer: Connection): PeerHandlers => {
      onReady();
      const handlers = this.#ready(peer);
      this.#tell({ kind: "connected", endpoint, remote: peer.remote });
      return handlers;
    };
    const connection: Connection = new Connection({ ...this.#settings, ready }, (error) => {
      const { remote } = connection;
      this.#tell({ kind: "disconnected", endpoint, remote, ...(error === undefined ? {} : { error }) });
      this.#connections.delete(connection);
      onClosed();
      this.#checkEmpty();
    });
    return connection;
  }

  #attach(connection: Connection, conn: Conn): void {
    this.#connections.add(connection);
    connection.attach(conn);
  }

  #checkEmpty(): void {
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new Error("The socket is closed");
  }

  #tell(event: SocketEvent): void {
    this.#options.onEvent?.(event);
  }
}
