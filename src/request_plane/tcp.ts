/**
 * The request plane over TCP: one listener, frames in, acknowledgements out in the same order.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import {
  type Clock,
  type Conn,
  type ConnHandlers,
  listenFault,
  type Net,
  type SocketAddress,
} from "../platform/platform.ts";
import { formatAddress, type ListenHost } from "../protocol/address.ts";
import { encodeAck, type RequestFrame, RequestFrameParser } from "../protocol/frame.ts";
import { decodeText, encodeText } from "../protocol/payload.ts";
import { type EndpointName, requestPath } from "../protocol/record.ts";
import type { Accept, RequestPlane, ServedEndpoint } from "./request_plane.ts";

/** Settings of the plane. */
export interface TcpRequestPlaneOptions {
  /** Sockets. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Where to listen and what to advertise. */
  readonly host: ListenHost;
  /** Port; 0 takes a free one. @env DYN_TCP_RPC_PORT */
  readonly port: number;
  /** Longest request frame. @unit bytes @env DYN_TCP_MAX_MESSAGE_SIZE */
  readonly maxMessageBytes: number;
}

/** How long a frame may take to arrive once begun; a slower connection is dropped. @unit milliseconds */
const FRAME_DEADLINE_MS = 30_000;
/** Unsent acknowledgements above which a connection is not read. @unit bytes */
const ACK_BACKLOG_BYTES = 256 * 1024;

const ACCEPTED = encodeAck();

/** Opens the listener. */
export async function openTcpRequestPlane(options: TcpRequestPlaneOptions): Promise<RequestPlane> {
  const { net, clock, log, host, port, maxMessageBytes } = options;
  const endpoints = new Map<string, Accept>();
  const connections = new Set<RequestConnection>();

  const answer = (frame: RequestFrame): Uint8Array => {
    const refusal = refuse(frame);
    return refusal === null ? ACCEPTED : encodeAck(encodeText(refusal));
  };
  const refuse = (frame: RequestFrame): string | null => {
    let path: string;
    try {
      path = decodeText(frame.path);
    } catch {
      return "Server unavailable: endpoint path is not UTF-8";
    }
    const accept = endpoints.get(path);
    if (accept === undefined) return `Server unavailable: unknown endpoint ${path}`;
    return accept(frame);
  };

  const accept = (conn: Conn): ConnHandlers => {
    const connection = new RequestConnection(conn, new RequestFrameParser(maxMessageBytes), answer, clock, log);
    connections.add(connection);
    connection.onClosed = () => connections.delete(connection);
    return connection;
  };

  const listener = await listen(net, { host: host.bind, port }, accept);
  const address = formatAddress(host.advertise, listener.address.port);
  const sweep = every(clock, FRAME_DEADLINE_MS / 3, () => {
    const oldest = clock.now() - FRAME_DEADLINE_MS;
    for (const connection of connections) connection.dropIfOlder(oldest);
  });

  return {
    name: "tcp",
    serve(name: EndpointName, instanceId: bigint, accept: Accept): Promise<ServedEndpoint> {
      const path = requestPath(name, instanceId);
      endpoints.set(path, accept);
      return Promise.resolve({
        transport: { tcp: `${address}/${path}` },
        [Symbol.asyncDispose]: () => Promise.resolve(void endpoints.delete(path)),
      });
    },
    async [Symbol.asyncDispose](): Promise<void> {
      sweep[Symbol.dispose]();
      const closed = listener[Symbol.asyncDispose]();
      for (const connection of connections) connection.close();
      await closed;
    },
  };
}

async function listen(
  net: Net,
  address: SocketAddress,
  accept: (conn: Conn) => ConnHandlers,
): ReturnType<Net["listen"]> {
  try {
    return await net.listen(address, accept);
  } catch (cause) {
    const where = formatAddress(address.host, address.port);
    const text = `Cannot listen for requests on ${where}: ${listenFault(cause)} (DYN_TCP_RPC_HOST, DYN_TCP_RPC_PORT)`;
    throw new Error(text, { cause });
  }
}

/** One frontend's connection. */
class RequestConnection implements ConnHandlers {
  readonly #conn: Conn;
  readonly #parser: RequestFrameParser;
  readonly #answer: (frame: RequestFrame) => Uint8Array;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Acknowledgements of the frames in the bytes at hand. */
  #acks: Uint8Array[] = [];
  /** When the frame that is incomplete now began. */
  #partialSince: number | null = null;
  onClosed: () => void = () => {};

  constructor(
    conn: Conn,
    parser: RequestFrameParser,
    answer: (frame: RequestFrame) => Uint8Array,
    clock: Clock,
    log: Log,
  ) {
    this.#conn = conn;
    this.#parser = parser;
    this.#answer = answer;
    this.#clock = clock;
    this.#log = log;
  }

  data(bytes: Uint8Array): void {
    try {
      this.#parser.push(bytes, (frame) => {
        this.#acks.push(this.#answer(frame));
        this.#partialSince = null;
      });
    } catch (error) {
      // The length cannot be trusted, so nothing that follows can be read: refuse and close, as the reference does.
      const text = (error as Error).message;
      this.#log.warn("Refusing a request frame", { remote: this.#conn.remote, error: text });
      this.#acks.push(encodeAck(encodeText(`Server unavailable: ${text}`)));
      this.#send();
      this.#conn.end();
      this.#conn.setReading(false);
      this.#partialSince = this.#clock.now();
      return;
    }
    if (this.#parser.pendingBytes === 0) this.#partialSince = null;
    else this.#partialSince ??= this.#clock.now();
    this.#send();
  }

  drain(): void {
    this.#conn.setReading(true);
  }

  end(): void {
    this.#conn.end();
  }

  closed(): void {
    this.onClosed();
  }

  close(): void {
    this.#conn.destroy();
  }

  dropIfOlder(time: number): void {
    if (this.#partialSince === null || this.#partialSince > time) return;
    this.#log.warn("Dropping a connection whose request frame never became complete", { remote: this.#conn.remote });
    this.#conn.destroy();
  }

  #send(): void {
    const acks = this.#acks;
    if (acks.length === 0) return;
    this.#acks = [];
    const open = this.#conn.write(acks.length === 1 ? acks[0]! : join(acks));
    if (!open && this.#conn.pendingBytes > ACK_BACKLOG_BYTES) this.#conn.setReading(false);
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function every(clock: Clock, intervalMs: number, run: () => void): Disposable {
  let timer = clock.timer(intervalMs, tick);
  function tick(): void {
    run();
    timer = clock.timer(intervalMs, tick);
  }
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
