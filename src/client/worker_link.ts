/**
 * The frontend's half of the request plane: one pipelined connection to a worker.
 *
 * @module
 */
import type { Clock, Conn, Net, SocketAddress } from "../platform/platform.ts";
import { AckParser } from "../protocol/frame.ts";
import { decodeText } from "../protocol/payload.ts";
import type { Call } from "./call.ts";
import { ackError, brokenProtocol, cannotConnect, disconnected, timedOut } from "./client_error.ts";
import { Deadlines } from "./deadlines.ts";

/** Settings of a {@linkcode WorkerLink}. */
export interface WorkerLinkOptions {
  /** TCP. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** The worker. */
  readonly address: SocketAddress;
  /** Time to connect. @unit milliseconds */
  readonly connectTimeoutMs: number;
  /** Time from a request to its acknowledgement. @unit milliseconds */
  readonly ackTimeoutMs: number;
  /** Longest acknowledgement taken. @unit bytes */
  readonly maxAckBytes: number;
  /** Called once when the link cannot be used any more. */
  readonly closed: () => void;
}

interface Sent {
  readonly call: Call;
  readonly deadline: Disposable;
}

/** A connection on which acknowledgements come in the order of the requests. */
export class WorkerLink implements AsyncDisposable {
  readonly #options: WorkerLinkOptions;
  readonly #acks: AckParser;
  readonly #deadlines: Deadlines;
  /** Requests whose acknowledgement is due, in order; also given-up ones, whose place in the order counts. */
  readonly #unacked: Sent[] = [];
  /** Requests whose worker has not called home. */
  readonly #open = new Set<Call>();
  readonly #dialing = new AbortController();
  readonly #gone = Promise.withResolvers<void>();
  #beforeConnect: { readonly frame: Uint8Array; readonly call: Call }[] = [];
  #conn: Conn | null = null;
  #isClosed = false;

  /** Starts to connect. */
  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#acks = new AckParser(options.maxAckBytes);
    this.#deadlines = new Deadlines(options.clock, options.ackTimeoutMs);
    this.#connect();
  }

  /** Sends a request; the call is failed if it is refused, lost or not acknowledged in time. */
  send(frame: Uint8Array, call: Call): void {
    if (this.#isClosed) return call.lose(cannotConnect("the connection to the worker is closed"));
    this.#open.add(call);
    if (this.#conn === null) this.#beforeConnect.push({ frame, call });
    else this.#write(this.#conn, frame, call);
  }

  /** Whether the request may have reached the worker. Call it once per call, when the call has settled. */
  release(call: Call): boolean {
    this.#open.delete(call);
    const queued = this.#beforeConnect.length;
    if (queued > 0) this.#beforeConnect = this.#beforeConnect.filter((entry) => entry.call !== call);
    return this.#beforeConnect.length === queued;
  }

  /** Closes the connection; what is not answered yet fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#dialing.abort();
    this.#conn?.destroy();
    await this.#gone.promise;
  }

  async #connect(): Promise<void> {
    const { net, clock, address, connectTimeoutMs } = this.#options;
    const timer = clock.timer(connectTimeoutMs, () => this.#dialing.abort());
    try {
      const conn = await net.dial(address, {
        data: (bytes) => this.#read(bytes),
        end: () => this.#conn?.destroy(),
        closed: (error) => this.#close(error),
      }, this.#dialing.signal);
      timer[Symbol.dispose]();
      if (this.#isClosed) return;
      this.#conn = conn;
      const waiting = this.#beforeConnect;
      this.#beforeConnect = [];
      for (const { frame, call } of waiting) this.#write(conn, frame, call);
    } catch (cause) {
      timer[Symbol.dispose]();
      this.#close(cause);
    }
  }

  #write(conn: Conn, frame: Uint8Array, call: Call): void {
    const deadline = this.#deadlines.add(() => call.lose(timedOut("no acknowledgement from the worker in time")));
    this.#unacked.push({ call, deadline });
    conn.write(frame);
  }

  #read(bytes: Uint8Array): void {
    try {
      this.#acks.push(bytes, (data) => {
        const sent = this.#unacked.shift();
        if (sent === undefined) throw new SyntaxError("acknowledgement without request");
        sent.deadline[Symbol.dispose]();
        if (data.length > 0) sent.call.lose(ackError(decodeText(data)));
      });
    } catch (cause) {
      this.#fail(brokenProtocol("cannot read acknowledgement", cause));
      this.#conn?.destroy();
    }
  }

  #close(cause: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.closed();
    const unacked = [...this.#unacked.map((sent) => sent.call), ...this.#beforeConnect.map((entry) => entry.call)];
    for (const call of unacked) call.lose(cannotConnect("the connection to the worker closed before an answer", cause));
    // What was accepted but has not called home never will: a worker keeps its connections as long as it serves.
    this.#fail(disconnected("the worker left before it called home", cause));
    this.#deadlines[Symbol.dispose]();
    this.#gone.resolve();
  }

  #fail(error: ReturnType<typeof disconnected>): void {
    for (const call of [...this.#open]) call.lose(error);
  }
}
