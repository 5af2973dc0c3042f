/**
 * Requests over TCP: one connection to each worker, made for its first request.
 *
 * @module
 */
import type { Clock, Net, SocketAddress } from "../platform/platform.ts";
import { encodeRequestFrame } from "../protocol/frame.ts";
import { encodeText } from "../protocol/payload.ts";
import type { Departing, Outgoing, Route } from "./route.ts";
import { WorkerLink } from "./worker_link.ts";

/** Settings of a {@linkcode TcpRoute}. */
export interface TcpRouteOptions {
  /** TCP. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** Time to connect to a worker. @unit milliseconds */
  readonly connectTimeoutMs: number;
  /** Time from a request to its acknowledgement. @unit milliseconds */
  readonly ackTimeoutMs: number;
  /** Longest request frame, and longest acknowledgement taken. @unit bytes */
  readonly maxFrameBytes: number;
  /** Where closed connections are told. */
  readonly log?: { debug(message: string, fields?: Readonly<Record<string, unknown>>): void };
}

/** The way to workers that listen themselves. */
export class TcpRoute implements Route {
  readonly #options: TcpRouteOptions;
  readonly #links = new Map<string, WorkerLink>();

  /** Makes a route that has dialled nobody yet. */
  constructor(options: TcpRouteOptions) {
    this.#options = options;
  }

  prepare(address: string, { call, headers, envelope }: Outgoing): Departing {
    const [authority, path] = splitTransport(address);
    const frame = encodeRequestFrame({
      path: encodeText(path),
      headers: encodeText(JSON.stringify({ ...headers, "x-endpoint-path": path })),
      payload: envelope,
    });
    const { maxFrameBytes } = this.#options;
    if (frame.length > maxFrameBytes) {
      throw new RangeError(`${frame.length} bytes, at most ${maxFrameBytes} are allowed`);
    }
    const link = this.#linkTo(authority);
    return { send: () => link.send(frame, call), release: () => link.release(call) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
  }

  #linkTo(authority: string): WorkerLink {
    const known = this.#links.get(authority);
    if (known !== undefined) return known;
    const { maxFrameBytes: maxAckBytes, log, ...options } = this.#options;
    const link = new WorkerLink({
      ...options,
      maxAckBytes,
      address: parseAddress(authority),
      closed: () => {
        if (this.#links.get(authority) === link) this.#links.delete(authority);
        log?.debug("worker connection closed", { address: authority });
      },
    });
    this.#links.set(authority, link);
    return link;
  }
}

/** `ip:port/path`, split at the first slash. */
function splitTransport(tcp: string): [authority: string, path: string] {
  const text = tcp.startsWith("tcp://") ? tcp.slice("tcp://".length) : tcp;
  const slash = text.indexOf("/");
  if (slash < 0) throw new SyntaxError(`${tcp} has no endpoint path`);
  return [text.slice(0, slash), text.slice(slash + 1)];
}

function parseAddress(authority: string): SocketAddress {
  const colon = authority.lastIndexOf(":");
  const port = Number(authority.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port)) throw new SyntaxError(`${authority} is no address`);
  return { host: authority.slice(0, colon).replace(/^\[|\]$/g, ""), port };
}
