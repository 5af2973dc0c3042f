/**
 * Endpoint strings, such as `tcp://127.0.0.1:5557`.
 *
 * @module
 */
import type { SocketAddress } from "../platform/platform.ts";

/** Where to bind or dial. */
export interface Endpoint {
  /** IP address or name; an IPv6 address carries no brackets. `*` stands for every IPv4 address. */
  readonly host: string;
  /** TCP port; 0, written `*`, takes a free one. */
  readonly port: number;
}

const TCP = /^tcp:\/\/(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]+|\*)):(\d{1,5}|\*)$/i;

/**
 * Reads `tcp://host:port`, `tcp://*:port`, `tcp://[::]:port`, each also with `*` for the port.
 *
 * @throws {SyntaxError} If it is none of these; the message says what to write instead.
 */
export function parseEndpoint(text: string): Endpoint {
  const match = TCP.exec(text);
  const port = match?.[3] === "*" ? 0 : Number(match?.[3]);
  if (match === null || port > 65_535) throw new SyntaxError(`Cannot use ${text}: ${fault(text)}`);
  return { host: (match[1] ?? match[2])!, port };
}

function fault(text: string): string {
  if (/^ipc:/i.test(text)) return "only tcp is supported; give the other side a tcp:// endpoint, such as tcp://*:5557";
  if (/^inproc:/i.test(text)) return "inproc stays within one libzmq process; use tcp://127.0.0.1 with a port";
  if (!/^tcp:\/\//i.test(text)) return "an endpoint is tcp://host:port";
  if (/^tcp:\/\/[^[]*:[^/]*:/.test(text)) return "put an IPv6 address in brackets, as in tcp://[::1]:5557";
  return "an endpoint is tcp://host:port, with a port from 0 to 65535 or *";
}

/** The inverse of {@linkcode parseEndpoint}. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return `tcp://${host.includes(":") ? `[${host}]` : host}:${port === 0 ? "*" : port}`;
}

/** What to listen on. @throws {SyntaxError} If it is no endpoint. */
export function listenAddress(text: string): SocketAddress {
  const { host, port } = parseEndpoint(text);
  return { host: host === "*" ? "0.0.0.0" : host, port };
}

/** What to dial. @throws {SyntaxError} If it is no endpoint, or has a `*`. */
export function dialAddress(text: string): SocketAddress {
  const address = parseEndpoint(text);
  if (address.host !== "*" && address.port !== 0) return address;
  throw new SyntaxError(`Cannot connect to ${text}: * can only be bound; name a host and a port`);
}
