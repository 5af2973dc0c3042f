/**
 * The response plane over TCP: dials home, one connection per request.
 *
 * @module
 */
import { type Clock, type Conn, type ConnHandlers, delay, type Net } from "../platform/platform.ts";
import { type AbortReason, type CallHome, decodeFrontendWord, encodeHandshake } from "../protocol/control.ts";
import { TwoPartParser } from "../protocol/frame.ts";
import { SendBuffer } from "../protocol/send_buffer.ts";
import { parseAddress } from "../protocol/address.ts";
import type { ResponsePlane, ResponseStream } from "./response_plane.ts";

/** Settings of the plane. */
export interface TcpResponsePlaneOptions {
  /** Sockets. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** How long a dial may take. @unit milliseconds */
  readonly connectTimeoutMs: number;
  /**
   * How long a frame may wait for company while the process is busy; 0 sends the frames of each turn at its end. The
   * first two writes of a stream, which bring the first token, and the last never wait.
   *
   * @unit milliseconds
   */
  readonly coalesceMs: number;
}

/**
 * Frames between engine and socket before the engine is not asked for more.
 *
 * @source dynamo-runtime 1.6.1: 64 frames of send buffer
 */
const MAX_WAITING_FRAMES = 64;
/**
 * How long the frontend may take to close after the sentinel, or to read on while bytes are waiting for it.
 *
 * @unit milliseconds
 * @source dynamo-runtime 1.6.1, where the time begins when the system has taken all bytes
 */
const CLOSE_TIMEOUT_MS = 10_000;
/**
 * When the plane closes it waits for ended streams as long as some of their bytes get out within this time; less than
 * what a shutdown that used all its time leaves to this.
 *
 * @unit milliseconds
 */
const FLUSH_TIMEOUT_MS = 500;
/** Frames follow each other closely if one comes within this many times the time that it may wait. */
const CLOSE_FRAMES = 4;
/** Longest thing a frontend says; its words are 30 bytes. @unit bytes */
const MAX_WORD_BYTES = 64 * 1024;
/** A new local port is tried this often when they are used up. @unit milliseconds @source dynamo-runtime 1.6.1 */
const PORT_RETRY_MS = 200;

/** Makes the plane; it opens nothing by itself. */
export function openTcpResponsePlane(options: TcpResponsePlaneOptions): ResponsePlane {
  const { net, clock, connectTimeoutMs, coalesceMs } = options;
  const streams = new Set<TcpResponseStream>();

  const open = async (callHome: CallHome, onAbort: (reason: AbortReason) => void): Promise<ResponseStream> => {
    const address = parseAddress(callHome.address);
    const stream = new TcpResponseStream({ clock, coalesceMs, onAbort, onGone: () => streams.delete(stream) });
    const deadline = new AbortController();
    using _timer = clock.timer(connectTimeoutMs, () => {
      deadline.abort(new Error(`Cannot dial ${callHome.address}: no answer within ${connectTimeoutMs} ms`));
    });
    for (;;) {
      try {
        stream.attach(await net.dial(address, stream.handlers, deadline.signal));
        break;
      } catch (error) {
        if ((error as { code?: string } | null)?.code !== "EADDRNOTAVAIL" || deadline.signal.aborted) throw error;
        await delay(clock, PORT_RETRY_MS);
      }
    }
    streams.add(stream);
    stream.buffer.append(encodeHandshake(callHome.subject));
    stream.commit();
    return stream;
  };

  return {
    open,
    async [Symbol.asyncDispose](): Promise<void> {
      const over = new AbortController();
      Promise.all([...streams].map((stream) => stream.gone)).then(() => over.abort());
      const pendingBytes = (): number => [...streams].reduce((sum, stream) => sum + stream.pendingBytes, 0);
      for (let before = Infinity; streams.size > 0 && pendingBytes() < before;) {
        before = pendingBytes();
        await delay(clock, FLUSH_TIMEOUT_MS, over.signal);
      }
      for (const stream of streams) stream.destroy();
    },
  };
}

interface StreamParts {
  readonly clock: Clock;
  readonly coalesceMs: number;
  readonly onAbort: (reason: AbortReason) => void;
  readonly onGone: () => void;
}

class TcpResponseStream implements ResponseStream {
  readonly buffer = new SendBuffer();
  /** Resolves when the connection is closed. */
  readonly gone: Promise<void>;
  readonly handlers: ConnHandlers = {
    data: (bytes) => this.#read(bytes),
    end: () => this.#peerEnded(),
    drain: () => this.#unblock(),
    closed: () => this.#close(),
  };
  readonly #clock: Clock;
  readonly #coalesceMs: number;
  readonly #parser = new TwoPartParser(MAX_WORD_BYTES);
  readonly #onGone: () => void;
  #onAbort: ((reason: AbortReason) => void) | null;
  #resolveGone!: () => void;
  #conn: Conn | null = null;
  /** Frames committed and not sent. */
  #frames = 0;
  /** When the first of them was committed. */
  #waitingSince = -Infinity;
  #writes = 0;
  /** The socket asked us to wait. */
  #blocked = false;
  /** Nothing more will be written. */
  #isEnding = false;
  /** The frontend will say nothing more, which is no cancel. */
  #hasPeerEnded = false;
  #isClosed = false;
  #waiter: (() => void) | null = null;
  #closeTimer: Disposable | null = null;
  #sentBytes = 0;

  constructor({ clock, coalesceMs, onAbort, onGone }: StreamParts) {
    this.#clock = clock;
    this.#coalesceMs = coalesceMs;
    this.#onAbort = onAbort;
    this.#onGone = onGone;
    this.gone = new Promise((resolve) => this.#resolveGone = resolve);
  }

  attach(conn: Conn): void {
    this.#conn = conn;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes of finished frames that the system has not taken. */
  get pendingBytes(): number {
    return this.buffer.length + (this.#conn?.pendingBytes ?? 0);
  }

  get isFull(): boolean {
    return this.#blocked || this.#frames >= MAX_WAITING_FRAMES;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  commit(): void {
    this.#frames++;
    if (this.#frames === 1) this.#schedule();
    else if (this.#frames === MAX_WAITING_FRAMES) this.#clock.endOfTurn(this.#flush);
  }

  drained(): Promise<void> {
    if (this.#isClosed || !this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.#waiter = resolve);
  }

  end(): void {
    this.#isEnding = true;
    if (this.#frames === 0) this.#finish();
    else this.#clock.endOfTurn(this.#flush);
  }

  hangUp(): void {
    // As if the frontend had ended its side: then we end ours too.
    this.#hasPeerEnded = true;
    this.end();
  }

  destroy(): void {
    this.#isEnding = true;
    this.#conn?.destroy();
  }

  /**
   * Frames leave at the end of the turn. A write costs more than everything else about a token, so when the process is
   * busy and this stream's frames follow each other closely, they wait a moment for the next.
   */
  #schedule(): void {
    const now = this.#clock.now();
    const isClose = now - this.#waitingSince < CLOSE_FRAMES * this.#coalesceMs;
    this.#waitingSince = now;
    if (isClose && this.#writes > 1 && this.#clock.isBusy) this.#clock.laterTurn(this.#flushIfDue, this.#coalesceMs);
    else this.#clock.endOfTurn(this.#flush);
  }

  readonly #flushIfDue = (): void => {
    if (this.#frames === 0) return;
    if (this.#clock.now() - this.#waitingSince >= this.#coalesceMs) this.#flush();
    else this.#clock.laterTurn(this.#flushIfDue, this.#coalesceMs);
  };

  /** Sends all frames that wait with one write. */
  readonly #flush = (): void => {
    if (this.#frames === 0 || this.#conn === null) return;
    this.#frames = 0;
    if (this.#isClosed) return;
    this.#writes++;
    const bytes = this.buffer.take();
    this.#sentBytes += bytes.length;
    if (!this.#conn.write(bytes)) this.#blocked = true;
    if (!this.#blocked) this.#release();
    if (this.#isEnding) this.#finish();
  };

  /** Everything is written: the frontend closes now; if it does not, we do. */
  #finish(): void {
    if (this.#isClosed || this.#closeTimer !== null) return;
    this.#closeIfStuck();
    if (this.#hasPeerEnded) this.#conn?.end();
  }

  #closeIfStuck(): void {
    const { pendingBytes } = this;
    this.#closeTimer = this.#clock.timer(CLOSE_TIMEOUT_MS, () => {
      if (this.pendingBytes < pendingBytes) this.#closeIfStuck();
      else this.#conn?.destroy();
    });
  }

  #peerEnded(): void {
    this.#hasPeerEnded = true;
    if (this.#closeTimer !== null) this.#conn?.end();
  }

  #read(bytes: Uint8Array): void {
    try {
      this.#parser.push(bytes, (frame) => this.#abort(decodeFrontendWord(frame)));
    } catch {
      this.#abort("kill");
    }
  }

  #unblock(): void {
    this.#blocked = false;
    if (!this.isFull) this.#release();
  }

  #close(): void {
    this.#isClosed = true;
    this.#closeTimer?.[Symbol.dispose]();
    this.#abort("disconnect");
    this.#release();
    this.#onGone();
    this.#resolveGone();
  }

  /** Once our last frame is written the frontend may close as it likes, often with a reset: that is no abort. */
  #abort(reason: AbortReason): void {
    if (this.#isEnding) return;
    const onAbort = this.#onAbort;
    this.#onAbort = null;
    onAbort?.(reason);
  }

  #release(): void {
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.();
  }
}
