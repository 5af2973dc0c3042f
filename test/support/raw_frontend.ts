/**
 * A scripted frontend over `node:net`: it frames nothing by itself on the way out and keeps every byte that came in.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { encodeRequestFrame, encodeTwoPart } from "../../src/protocol/frame.ts";
import { encodeMsgpack, encodeText, stringifyJson } from "../../src/protocol/payload.ts";

/** Longest a test waits for bytes; far above what a loaded machine needs. @unit milliseconds */
const LIMIT_MS = 15_000;

/** A connection and everything it said. */
export class RawConn {
  readonly socket: Socket;
  /** Whether the bytes that come are kept; a flood need not be. */
  keepsBytes = true;
  /** Bytes received, kept or not. */
  received = 0;
  #room = new Uint8Array(1024);
  #length = 0;
  /** Whether the other side ended its half. */
  hasEnded = false;
  /** Whether the connection is gone. */
  isClosed = false;
  /** Code of the error that ended it, if one did. */
  error: string | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.received += chunk.length;
      if (this.keepsBytes) this.#keep(chunk);
      this.#notify();
    });
    socket.on("end", () => {
      this.hasEnded = true;
      this.#notify();
    });
    socket.on("error", (error) => this.error ??= (error as { code?: string }).code ?? error.message);
    socket.on("close", () => {
      this.isClosed = true;
      this.#notify();
    });
  }

  /** Every byte received. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length);
  }

  write(...parts: readonly Uint8Array[]): void {
    for (const part of parts) this.socket.write(part);
  }

  /** Ends our half and goes on reading. */
  fin(): void {
    this.socket.end();
  }

  /** Drops the connection with an RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Resolves once `ask` says so; asked again at every event of the connection. */
  when(what: string, ask: () => boolean): Promise<void> {
    if (ask()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(look);
      };
      const look = () => {
        if (!ask()) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`Waited ${LIMIT_MS} ms in vain for ${what}; ${this.received} bytes came`));
      }, LIMIT_MS);
      this.#watchers.add(look);
    });
  }

  /** Resolves when the connection is gone. */
  closed(): Promise<void> {
    return this.when("the connection to close", () => this.isClosed);
  }

  /** Resolves when the other side said its last, in order or not. */
  over(): Promise<void> {
    return this.when("the other side to end", () => this.hasEnded || this.isClosed);
  }

  #keep(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#room.length) {
      const grown = new Uint8Array(2 * length);
      grown.set(this.bytes);
      this.#room = grown;
    }
    this.#room.set(chunk, this.#length);
    this.#length = length;
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }
}

/** A connection to a worker's request plane. */
export class RawLink extends RawConn {
  /** Acknowledgements so far, as texts; an empty one accepts. */
  get acks(): string[] {
    const texts: string[] = [];
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    for (let at = 0; at + 4 <= this.bytes.length;) {
      const length = view.getUint32(at);
      if (at + 4 + length > this.bytes.length) break;
      texts.push(new TextDecoder().decode(this.bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    return texts;
  }

  /** Resolves with the first `count` acknowledgements once they are there. */
  async acked(count: number): Promise<string[]> {
    await this.when(`${count} acknowledgements`, () => this.acks.length >= count);
    return this.acks.slice(0, count);
  }
}

/** A frame of a response: header and body as they came. */
export interface RawFrame {
  readonly header: string;
  readonly body: Uint8Array;
}

/** A worker's call home. */
export class RawCall extends RawConn {
  #subject: string | undefined;

  /** Complete frames so far. */
  get frames(): RawFrame[] {
    return splitFrames(this.bytes);
  }

  /** The first `count` frames once they are there. */
  async framed(count: number): Promise<RawFrame[]> {
    await this.when(`${count} response frames`, () => this.frames.length >= count);
    return this.frames.slice(0, count);
  }

  /** All frames once the sentinel is there, or the worker closed; closes as a frontend does then. */
  async whole(): Promise<RawFrame[]> {
    await this.when("the sentinel", () => this.isClosed || this.hasEnded || this.isWhole);
    const frames = this.frames;
    this.socket.end();
    return frames;
  }

  /** Whether the sentinel is there. */
  get isWhole(): boolean {
    const { bytes } = this;
    const start = bytes.length - SENTINEL_FRAME.length;
    return start >= 0 && SENTINEL_FRAME.every((byte, i) => bytes[start + i] === byte);
  }

  /** Whom the call is for, once the handshake is there. */
  get subject(): string | undefined {
    if (this.#subject === undefined && this.bytes.length >= 24) {
      const [handshake] = splitFrames(this.bytes.subarray(0, 24 + this.bytes[7]!));
      if (handshake !== undefined) this.#subject = JSON.parse(handshake.header).subject;
    }
    return this.#subject;
  }

  /** Says `stop` or `kill`, or anything else. */
  say(word: string): void {
    this.write(encodeTwoPart(encodeText(JSON.stringify(word)), new Uint8Array(0)));
  }
}

const SENTINEL_FRAME = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 10],
  ...new Array(16).fill(0),
  ...encodeText('"sentinel"'),
);

/** Splits bytes into two-part frames, by the table of the protocol rather than by our own parser. */
export function splitFrames(bytes: Uint8Array): RawFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: RawFrame[] = [];
  for (let at = 0; at + 24 <= bytes.length;) {
    const headerLength = Number(view.getBigUint64(at));
    const end = at + 24 + headerLength + Number(view.getBigUint64(at + 8));
    if (view.getBigUint64(at + 16) !== 0n) throw new Error("a checksum was written");
    if (end > bytes.length) break;
    frames.push({
      header: new TextDecoder().decode(bytes.subarray(at + 24, at + 24 + headerLength)),
      body: bytes.slice(at + 24 + headerLength, end),
    });
    at = end;
  }
  return frames;
}

/** What goes into a request frame; everything has a default. */
export interface RawRequestOptions {
  readonly id?: string;
  readonly subject?: string;
  readonly codec?: "json" | "msgpack";
  readonly body?: unknown;
  /** Body bytes, instead of `body`. */
  readonly bodyBytes?: Uint8Array;
  /** Members of the control header that replace the usual ones; `undefined` removes. */
  readonly head?: Readonly<Record<string, unknown>>;
  /** Members of `connection_info.info` that replace the usual ones. */
  readonly info?: Readonly<Record<string, unknown>>;
  readonly transport?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Payload bytes, instead of an envelope. */
  readonly payload?: Uint8Array;
}

/** A listening frontend. Disposing it drops everything. */
export interface RawFrontend extends AsyncDisposable {
  /** Where workers call home, `ip:port`. */
  readonly address: string;
  /** Calls that came, in order. */
  readonly calls: readonly RawCall[];
  /** Dials a request plane at `ip:port`. */
  dial(address: string): Promise<RawLink>;
  /** A request frame for a path; the answer comes to this frontend. */
  frame(path: string, options?: RawRequestOptions): Uint8Array;
  /** The call home for a subject once its handshake is there. */
  call(subject: string): Promise<RawCall>;
}

/** The body every test can send. */
export const BODY = { token_ids: [1, 2, 3], stop_conditions: {}, sampling_options: {}, output_options: {} } as const;

let count = 0;

/** Starts a frontend on loopback. */
export async function openRawFrontend(): Promise<RawFrontend> {
  const calls: RawCall[] = [];
  const links: RawLink[] = [];
  const watchers = new Set<() => void>();
  const notify = () => [...watchers].forEach((look) => look());
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    calls.push(new RawCall(socket));
    socket.on("data", notify);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;

  const find = (subject: string) => calls.find((call) => call.subject === subject);
  return {
    address,
    calls,
    dial(target) {
      const colon = target.lastIndexOf(":");
      const where = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)), allowHalfOpen: true };
      return new Promise((resolve, reject) => {
        const socket = connect(where);
        socket.once("error", reject);
        socket.once("connect", () => {
          socket.removeListener("error", reject);
          const link = new RawLink(socket);
          links.push(link);
          resolve(link);
        });
      });
    },
    frame(path, options = {}) {
      const { id = `request-${++count}`, codec = "json", body = BODY, transport = "tcp_server" } = options;
      const subject = options.subject ?? id;
      const info = JSON.stringify({ address, subject, context: id, stream_type: "response", ...options.info });
      const head = {
        id,
        request_type: "single_in",
        response_type: "many_out",
        payload_codec: codec,
        connection_info: { transport, info },
        ...options.head,
      };
      const bytes = options.bodyBytes ?? (codec === "json" ? encodeText(stringifyJson(body)) : encodeMsgpack(body));
      return encodeRequestFrame({
        path: encodeText(path),
        headers: encodeText(JSON.stringify({ "x-endpoint-path": path, "request-id": id, ...options.headers })),
        payload: options.payload ?? encodeTwoPart(encodeText(JSON.stringify(head)), bytes),
      });
    },
    async call(subject) {
      const known = find(subject);
      if (known !== undefined) return known;
      await new Promise<void>((resolve, reject) => {
        const done = () => {
          clearTimeout(timer);
          watchers.delete(look);
        };
        // The connection's own listener adds the bytes first: it was registered first.
        const look = () => {
          if (find(subject) === undefined) return;
          done();
          resolve();
        };
        const timer = setTimeout(() => {
          done();
          reject(new Error(`Waited ${LIMIT_MS} ms in vain for the call home of ${subject}`));
        }, LIMIT_MS);
        watchers.add(look);
      });
      return find(subject)!;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const gone = [...links, ...calls].map((conn) => {
        conn.socket.destroy();
        return conn.closed();
      });
      await Promise.all([closed, ...gone]);
    },
  };
}
