/**
 * TCP in memory, whose far end is the test: it sees what is written, sends what it likes, and does not read if it likes.
 *
 * @module
 */
import type {
  Conn,
  ConnHandlers,
  InterfaceAddress,
  Listener,
  Net,
  SocketAddress,
} from "../../src/platform/platform.ts";

/** One connection, seen from the far end. */
export class FakeConn implements Conn {
  readonly remote: string;
  /** What our side is told. */
  handlers!: ConnHandlers;
  /** What was written, write by write. */
  writes: Uint8Array[] = [];
  /** Whether the far end reads; if not, what is written waits. */
  reads = true;
  pendingBytes = 0;
  isEnded = false;
  isClosed = false;
  isReading = true;

  constructor(remote: string) {
    this.remote = remote;
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.isEnded) return true;
    this.writes.push(bytes);
    if (this.reads) return true;
    this.pendingBytes += bytes.length;
    return false;
  }

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    this.#close();
  }

  setReading(reading: boolean): void {
    this.isReading = reading;
  }

  /** The far end sends bytes. The array is spoilt afterwards, as a socket's buffer may be. */
  say(...parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      const bytes = part.slice();
      this.handlers.data(bytes);
      bytes.fill(0xee);
    }
  }

  /** The far end reads everything that waits, and what follows. */
  drain(): void {
    this.reads = true;
    this.pendingBytes = 0;
    this.handlers.drain?.();
  }

  /** The connection breaks, or is closed by both. */
  hangUp(error?: Error): void {
    this.#close(error);
  }

  /** Everything written so far, and forgets it. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.writes.reduce((sum, write) => sum + write.length, 0));
    let at = 0;
    for (const write of this.writes.splice(0)) {
      bytes.set(write, at);
      at += write.length;
    }
    return bytes;
  }

  #close(error?: Error): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.pendingBytes = 0;
    // Sockets tell it later, too.
    queueMicrotask(() => this.handlers.closed(error));
  }
}

/** A net without a network. */
export class FakeNet implements Net {
  /** Dials so far, in order. */
  readonly dials: SocketAddress[] = [];
  /** Connections that were dialled, in order. */
  readonly dialled: FakeConn[] = [];
  /** What happens to the next dials; they succeed if nothing is said. */
  dialFaults: (Error | "hang")[] = [];
  listeners: SocketAddress[] = [];
  #accept: ((conn: Conn) => ConnHandlers) | null = null;
  #count = 0;

  listen(address: SocketAddress, accept: (conn: Conn) => ConnHandlers): Promise<Listener> {
    const bound = { host: address.host, port: address.port || 4000 };
    this.#accept = accept;
    this.listeners.push(bound);
    return Promise.resolve({
      address: bound,
      [Symbol.asyncDispose]: () => {
        this.listeners = this.listeners.filter((each) => each !== bound);
        return Promise.resolve();
      },
    });
  }

  dial(address: SocketAddress, handlers: ConnHandlers, signal?: AbortSignal): Promise<Conn> {
    this.dials.push(address);
    const fault = this.dialFaults.shift();
    if (fault === "hang") {
      return new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    }
    if (fault !== undefined) return Promise.reject(fault);
    const conn = new FakeConn(`${address.host}:${address.port}`);
    conn.handlers = handlers;
    this.dialled.push(conn);
    return Promise.resolve(conn);
  }

  interfaces(): readonly InterfaceAddress[] {
    return [];
  }

  /** Somebody dials the listener. */
  accept(): FakeConn {
    const conn = new FakeConn(`10.0.0.1:${++this.#count}`);
    conn.handlers = this.#accept!(conn);
    return conn;
  }
}
