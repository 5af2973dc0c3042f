/**
 * Addresses as text, and which of them to bind and to advertise.
 *
 * @module
 */
import { DynamoError } from "./error.ts";

/** One address of an interface that is up. */
export interface HostInterface {
  /** Interface name, such as `eth0`. */
  readonly name: string;
  /** The address, without brackets or zone. */
  readonly address: string;
  /** Address family. */
  readonly family: "IPv4" | "IPv6";
  /** Whether it is a loopback address. */
  readonly internal: boolean;
}

/** A pair of addresses. */
export interface ListenHost {
  /** Address to listen on. */
  readonly bind: string;
  /** Address that others are told; always a concrete IP literal. */
  readonly advertise: string;
}

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/**
 * Resolves the host of a listener: an IP literal, `[v6]`, a wildcard, an interface name, or blank for automatic.
 *
 * Automatic takes the first usable IPv4 address that is not loopback, then IPv6, then loopback.
 *
 * @throws {DynamoError} `InvalidArgument` if it is none of these, or an address that cannot be advertised.
 * @source dynamo-runtime 1.6.1, tcp request plane: host resolution of `DYN_TCP_RPC_HOST`
 */
export function resolveListenHost(
  host: string | undefined,
  option: string,
  interfaces: readonly HostInterface[],
): ListenHost {
  const wanted = (host ?? "").trim().replace(/^\[(.*)\]$/, "$1");
  if (wanted === "") {
    const address = pickAddress(interfaces) ?? "127.0.0.1";
    return { bind: address, advertise: address };
  }
  if (wanted === "0.0.0.0") return { bind: wanted, advertise: pickAddress(interfaces, "IPv4") ?? "127.0.0.1" };
  if (wanted === "::") return { bind: wanted, advertise: pickAddress(interfaces, "IPv6") ?? "::1" };
  if (IPV4.test(wanted) || wanted.includes(":")) {
    const fault = addressFault(wanted);
    if (fault !== null) throw new DynamoError("InvalidArgument", `${option}: ${wanted} ${fault}`);
    return { bind: wanted, advertise: wanted };
  }
  const own = interfaces.filter((item) => item.name === wanted);
  const address = pickAddress(own) ?? own[0]?.address;
  if (address === undefined) {
    const names = [...new Set(interfaces.map((item) => item.name))].join(", ");
    throw new DynamoError(
      "InvalidArgument",
      `${option}: ${wanted} is neither an IP address nor an interface of this machine (${names})`,
    );
  }
  return { bind: address, advertise: address };
}

/** Addresses that stand for every address of a machine, in the spellings there are. */
const UNSPECIFIED = /^(?:\*|0\.0\.0\.0|(?:[0:]*:)?(?:ffff:)?(?:0\.0\.0\.0|[0:]*))$/i;

/**
 * The address that others are told, from an option that names it or an interface; the machine's own when it is blank.
 *
 * @throws {DynamoError} `InvalidArgument` if nobody could dial it, or there is no such interface.
 * @source dynamo-runtime 1.6.1, `DYN_EVENT_PLANE_HOST`: wildcards are refused
 */
export function resolveAdvertisedHost(
  host: string | undefined,
  option: string,
  interfaces: readonly HostInterface[],
): string {
  const wanted = (host ?? "").trim().replace(/^\[(.*)\]$/, "$1");
  if (wanted !== "" && UNSPECIFIED.test(wanted)) {
    throw new DynamoError(
      "InvalidArgument",
      `${option}: ${wanted} is every address of this machine; name one that others can dial, or an interface`,
    );
  }
  return resolveListenHost(wanted, option, interfaces).advertise;
}

function pickAddress(interfaces: readonly HostInterface[], family?: "IPv4" | "IPv6"): string | undefined {
  const usable = interfaces.filter((item) => !item.internal && addressFault(item.address) === null);
  const of = (wanted: string) => usable.find((item) => item.family === wanted)?.address;
  return family === undefined ? of("IPv4") ?? of("IPv6") : of(family);
}

/** Why an address cannot be advertised, or `null`. */
function addressFault(address: string): string | null {
  const parts = IPV4.exec(address)?.slice(1).map(Number);
  if (parts !== undefined) {
    if (parts.some((part) => part > 255)) return "is not an IPv4 address";
    const first = parts[0] ?? 0;
    if (address === "255.255.255.255") return "is the broadcast address";
    return first >= 224 && first <= 239 ? "is a multicast address" : null;
  }
  if (!/^[0-9a-f:.]+$/i.test(address)) return "is not an IPv6 address";
  if (/^ff/i.test(address)) return "is a multicast address";
  return /^fe[89ab]/i.test(address) ? "is a link-local address, which others cannot dial" : null;
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Splits `ip:port` or `[ip]:port`; a `tcp://` in front is tolerated.
 *
 * @throws {SyntaxError} If it is neither.
 */
export function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:tcp:\/\/)?(?:\[([^\]]+)\]|([^:/[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) throw new SyntaxError(`${text} is not an ip:port address`);
  return { host: (match[1] ?? match[2])!, port };
}
