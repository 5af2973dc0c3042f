/**
 * TCP over Bun's own sockets, which write without a stream in between.
 *
 * @module
 */
import type { Conn, ConnHandlers, Listener, Net, SocketAddress } from "./platform.ts";
import { interfaces } from "./interfaces.ts";

/** The parts of Bun's sockets used here. */
interface BunSocket {
  data: BunConn;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Bytes the system took, or -1 if the socket is closed. */
  write(bytes: Uint8Array): number;
  end(): void;
  shutdown(): void;
  terminate(): void;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, delayMs: number): void;
  pause(): void;
  resume(): void;
}
interface BunHandlers {
  /** Plain arrays: Buffer's own slice() shares memory where Uint8Array's copies. */
  readonly binaryType: "uint8array";
  open?(socket: BunSocket): void;
  data(socket: BunSocket, bytes: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: Error): void;
  error(socket: BunSocket, error: Error): void;
}
interface BunNet {
  connect(options: {
    hostname: string;
    port: number;
    allowHalfOpen: boolean;
    socket: BunHandlers;
  }): Promise<BunSocket>;
  listen(options: { hostname: string; port: number; allowHalfOpen: boolean; socket: BunHandlers }): {
    readonly hostname: string;
    readonly port: number;
    stop(closeActive: boolean): void;
  };
}

const bun = (globalThis as unknown as { readonly Bun: BunNet }).Bun;

/** Idle time before the first keep-alive probe. @unit milliseconds */
const KEEP_ALIVE_MS = 10_000;
/** Waiting bytes above which writers are asked to wait, as in `node:net`. */
const FULL_BYTES = 16 * 1024;

class BunConn implements Conn {
  readonly remote: string;
  readonly #socket: BunSocket;
  handlers: ConnHandlers | null = null;
  error: Error | undefined;
  #queue: Uint8Array[] = [];
  #pendingBytes = 0;
  #isEnding = false;
  isClosed = false;
  #wantsDrain = false;

  constructor(socket: BunSocket) {
    this.#socket = socket;
    this.remote = `${socket.remoteAddress}:${socket.remotePort}`;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.#isEnding || bytes.length === 0) return true;
    if (this.#queue.length === 0) {
      const count = Math.max(0, this.#socket.write(bytes));
      if (count === bytes.length) return true;
      bytes = bytes.subarray(count);
    }
    this.#queue.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes <= FULL_BYTES) return true;
    this.#wantsDrain = true;
    return false;
  }

  drain(): void {
    while (this.#queue.length > 0) {
      const bytes = this.#queue[0]!;
      const count = Math.max(0, this.#socket.write(bytes));
      this.#pendingBytes -= count;
      if (count < bytes.length) {
        this.#queue[0] = bytes.subarray(count);
        return;
      }
      this.#queue.shift();
    }
    if (this.#isEnding) return this.#socket.shutdown();
    if (!this.#wantsDrain) return;
    this.#wantsDrain = false;
    this.handlers?.drain?.();
  }

  end(): void {
    if (this.isClosed || this.#isEnding) return;
    this.#isEnding = true;
    if (this.#queue.length === 0) this.#socket.shutdown();
  }

  destroy(): void {
    if (!this.isClosed) this.#socket.terminate();
  }

  setReading(reading: boolean): void {
    if (this.isClosed) return;
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }
}

const HANDLERS: BunHandlers = {
  binaryType: "uint8array",
  data: ({ data: conn }, bytes) => conn.handlers?.data(bytes),
  drain: ({ data: conn }) => conn.drain(),
  end: ({ data: conn }) => conn.handlers?.end?.(),
  error: ({ data: conn }, error) => {
    conn.error = error;
  },
  close: ({ data: conn }, error) => {
    conn.isClosed = true;
    conn.handlers?.closed(conn.error ?? error);
  },
};

/** TCP of this machine, by Bun. */
export const bunNet: Net = {
  // `async`, so that a port in use rejects rather than throws.
  // deno-lint-ignore require-await
  async listen(address: SocketAddress, accept: (conn: Conn) => ConnHandlers): Promise<Listener> {
    const open = (socket: BunSocket) => {
      const conn = socket.data = new BunConn(socket);
      conn.handlers = accept(conn);
      // Dropped by its owner before there was anybody to tell.
      if (conn.isClosed) conn.handlers.closed(conn.error);
    };
    const { host: hostname, port } = address;
    const listener = bun.listen({ hostname, port, allowHalfOpen: true, socket: { ...HANDLERS, open } });
    return {
      address: { host: listener.hostname, port: listener.port },
      [Symbol.asyncDispose]: () => Promise.resolve(listener.stop(false)),
    };
  },

  async dial(address: SocketAddress, handlers: ConnHandlers, signal?: AbortSignal): Promise<Conn> {
    signal?.throwIfAborted();
    const open = (socket: BunSocket) => {
      const conn = socket.data = new BunConn(socket);
      // A connect cannot be called off; one that comes too late is dropped.
      if (signal?.aborted) conn.destroy();
      else conn.handlers = handlers;
    };
    const { host: hostname, port } = address;
    const connecting = bun.connect({ hostname, port, allowHalfOpen: true, socket: { ...HANDLERS, open } });
    if (signal === undefined) return (await connecting).data;
    let abort!: () => void;
    const aborted = new Promise<never>((_resolve, reject) => abort = () => reject(signal.reason));
    signal.addEventListener("abort", abort);
    try {
      return (await Promise.race([connecting, aborted])).data;
    } finally {
      signal.removeEventListener("abort", abort);
      connecting.catch(() => {});
    }
  },

  interfaces,
};
