/**
 * A simulated network of hosts.
 *
 * @module
 */
import type { Conn, ConnHandlers, Listener, Net, SocketAddress } from "../../platform/platform.ts";
import { ConnectionEnd, failure, type PipeQuality } from "./connection.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { Timeline } from "./timeline.ts";

/** What a {@linkcode Network} is made of. */
export interface NetworkParts {
  /** Time. */
  readonly timeline: Timeline;
  /** Delays and pieces. */
  readonly random: SeededRandom;
  /** How the next connection behaves. */
  readonly quality: () => PipeQuality;
}

type Accept = (conn: Conn) => ConnHandlers;

/** Ports that a listener gets which asks for any. */
const FIRST_FREE_PORT = 40_000;
/** Time until a system gives up a peer that does not answer. @unit milliseconds */
const DEAD_PEER_MS = 20_000;

/** Hosts, and what goes on between them. */
export class Network {
  readonly #parts: NetworkParts;
  readonly #listeners = new Map<string, Accept>();
  readonly #ends = new Set<ConnectionEnd>();
  readonly #cutOff = new Set<string>();
  #port = FIRST_FREE_PORT;

  /** Makes a network without hosts. */
  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** TCP of the host with this address. */
  host(address: string): Net {
    return {
      listen: (where, accept) => this.#listen(address, where, accept),
      dial: (where, handlers, signal) => this.#dial(address, where, handlers, signal),
      interfaces: () => [
        { name: "lo", address: "127.0.0.1", family: "IPv4", internal: true },
        { name: "eth0", address, family: "IPv4", internal: false },
      ],
    };
  }

  /** Open connections of a host, those it dialled and those it accepted. */
  connectionsOf(host: string): number {
    return [...this.#ends].filter(({ owner }) => owner === host).length;
  }

  /** Open listeners of a host. */
  listenersOf(host: string): number {
    return [...this.#listeners.keys()].filter((key) => key.startsWith(`${host}:`)).length;
  }

  /** From now on nothing reaches this host or comes from it; its peers notice when their systems give it up. */
  cutOff(host: string): void {
    this.#cutOff.add(host);
    const affected = [...this.#ends].filter((end) => end.owner !== host && end.peer.owner === host);
    const { timeline } = this.#parts;
    for (const end of affected) timeline.after(DEAD_PEER_MS, () => end.fail(failure("ETIMEDOUT")), "network");
  }

  /** Breaks a connection from one end: the other is told at once, over all that is under way. */
  reset(conn: Conn): void {
    for (const end of this.#ends) if (end === conn) return end.reset();
  }

  /** Ends a host as a crash of its process does: listeners are gone, connections reset. */
  crash(host: string): void {
    for (const key of [...this.#listeners.keys()]) if (key.startsWith(`${host}:`)) this.#listeners.delete(key);
    for (const end of [...this.#ends]) if (end.owner === host) end.reset();
  }

  #listen(host: string, { host: bound, port: wanted }: SocketAddress, accept: Accept): Promise<Listener> {
    if (![host, "0.0.0.0", "127.0.0.1"].includes(bound)) return Promise.reject(failure("EADDRNOTAVAIL"));
    const port = wanted === 0 ? this.#port++ : wanted;
    const key = `${host}:${port}`;
    if (this.#listeners.has(key)) return Promise.reject(failure("EADDRINUSE"));
    this.#listeners.set(key, accept);
    return Promise.resolve({
      address: { host: bound, port },
      [Symbol.asyncDispose]: () => {
        this.#listeners.delete(key);
        return Promise.resolve();
      },
    });
  }

  #dial(from: string, to: SocketAddress, handlers: ConnHandlers, signal?: AbortSignal): Promise<Conn> {
    const { timeline, random } = this.#parts;
    const { promise, resolve, reject } = Promise.withResolvers<Conn>();
    if (signal?.aborted) {
      reject(signal.reason);
      return promise;
    }
    const host = to.host === "127.0.0.1" ? from : to.host;
    const quality = this.#parts.quality();
    const trip = quality.latencyMs * (1 + quality.jitter * random.number());
    const key = `${host}:${to.port}`;
    const isCut = () => this.#cutOff.has(from) || this.#cutOff.has(host);
    let isOver = false;
    const settle = (): void => {
      isOver = true;
      signal?.removeEventListener("abort", abort);
    };
    const abort = (): void => {
      settle();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    timeline.after(2 * trip, () => {
      if (isOver || isCut()) return;
      settle();
      if (!this.#listeners.has(key)) return reject(failure("ECONNREFUSED"));
      const [near, far] = this.#join(from, host, to.port, quality, isCut);
      near.attach(handlers);
      this.#ends.add(near);
      // The peer's system has taken the connection; its process hears of it later, but before the first byte.
      timeline.after(quality.latencyMs / 2, () => this.#accept(key, far, isCut()), "network");
      resolve(near);
    }, "network");
    return promise;
  }

  #accept(key: string, end: ConnectionEnd, isCut: boolean): void {
    const accept = this.#listeners.get(key);
    if (end.isClosed) return;
    if (accept === undefined || isCut) return end.reset();
    this.#ends.add(end);
    end.attach(accept(end));
  }

  #join(
    from: string,
    to: string,
    port: number,
    quality: PipeQuality,
    isCut: () => boolean,
  ): [near: ConnectionEnd, far: ConnectionEnd] {
    const { timeline, random } = this.#parts;
    const end = (owner: string, remote: string): ConnectionEnd => {
      const onClosed = (closed: ConnectionEnd) => void this.#ends.delete(closed);
      return new ConnectionEnd({ timeline, random, quality, owner, remote, isCut, onClosed });
    };
    const near = end(from, `${to}:${port}`);
    const far = end(to, `${from}:${this.#port++}`);
    near.peer = far;
    far.peer = near;
    return [near, far];
  }
}
