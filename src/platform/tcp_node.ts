/**
 * TCP over `node:net`, which Deno, Bun and Node share.
 *
 * @module
 */
import { createServer, Socket } from "node:net";
import { interfaces } from "./interfaces.ts";
import type { Conn, ConnHandlers, Listener, Net, SocketAddress } from "./platform.ts";

/** Idle time before the first keep-alive probe. @unit milliseconds */
const KEEP_ALIVE_MS = 10_000;
/** Waiting connections; the call-home listener of a frontend takes bursts. */
const BACKLOG = 4096;

/** A connection over a socket; `handlers` may be replaced until the first event. */
class SocketConn implements Conn {
  readonly remote: string;
  readonly #socket: Socket;
  #error: Error | undefined;
  #isAttached = false;
  /** A write has asked its caller to wait. */
  #isAwaited = false;
  #isReading = true;

  constructor(socket: Socket, remote: string) {
    this.#socket = socket;
    this.remote = remote;
    socket.on("error", (error) => this.#error = error);
  }

  /** Tells what happens from now on, and first what has happened already. */
  attach(handlers: ConnHandlers): void {
    const socket = this.#socket;
    this.#isAttached = true;
    if (socket.closed) return handlers.closed(this.#error);
    // A plain view: Buffer's own slice() shares memory where Uint8Array's copies.
    socket.on("data", (chunk) => handlers.data(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)));
    socket.on("end", () => handlers.end?.());
    socket.on("drain", () => handlers.drain?.());
    socket.once("close", () => {
      handlers.closed(this.#error);
      // Late errors of a closed socket must not end the process, so the error listener stays.
      socket.removeAllListeners("data").removeAllListeners("drain").removeAllListeners("end");
    });
    if (!this.#isReading) socket.pause();
    // What was written since may have left already.
    if (this.#isAwaited && socket.writableLength === 0) handlers.drain?.();
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    const isTaken = this.#socket.write(bytes);
    if (!isTaken && !this.#isAttached) this.#isAwaited = true;
    return isTaken;
  }

  end(): void {
    if (!this.#socket.destroyed) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  setReading(reading: boolean): void {
    this.#isReading = reading;
    // Reading before somebody listens would lose what is read.
    if (!this.#isAttached) return;
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }
}

function configure(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

/** TCP of this machine. @param later Calls back in a turn of the event loop that is not this one. */
export function createNodeNet(later: (run: () => void) => void): Net {
  return { listen, dial: (address, handlers, signal) => dial(later, address, handlers, signal), interfaces };
}

function listen(address: SocketAddress, accept: (conn: Conn) => ConnHandlers): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    configure(socket);
    const conn = new SocketConn(socket, `${socket.remoteAddress}:${socket.remotePort}`);
    conn.attach(accept(conn));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      server.removeListener("error", reject);
      // An accept that fails (no file descriptors left) must not end the process; the listener goes on.
      server.on("error", () => {});
      const bound = server.address() as { address: string; port: number };
      resolve({
        address: { host: bound.address, port: bound.port },
        [Symbol.asyncDispose]: () => new Promise((done) => server.close(() => done())),
      });
    });
  });
}

function dial(
  later: (run: () => void) => void,
  address: SocketAddress,
  handlers: ConnHandlers,
  signal?: AbortSignal,
): Promise<Conn> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const socket = new Socket({ allowHalfOpen: true });
    const abort = () => fail(signal?.reason);
    const fail = (reason: unknown) => {
      signal?.removeEventListener("abort", abort);
      socket.destroy();
      reject(reason);
    };
    signal?.addEventListener("abort", abort);
    socket.on("error", fail);
    socket.connect({ host: address.host, port: address.port }, () => {
      signal?.removeEventListener("abort", abort);
      configure(socket);
      const conn = new SocketConn(socket, `${address.host}:${address.port}`);
      socket.removeListener("error", fail);
      resolve(conn);
      // A peer that speaks first must not overtake the caller, who goes on in a microtask, as do reads on Deno.
      later(() => conn.attach(handlers));
    });
  });
}
