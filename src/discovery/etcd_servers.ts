/**
 * `ETCD_ENDPOINTS` and the variables beside it.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Files, TlsMaterial } from "../platform/platform.ts";
import { invalidArgument } from "../protocol/error.ts";

/** Where etcd is and how to be let in. */
export interface EtcdServers {
  /** Origins such as `http://127.0.0.1:2379`, in the order in which they are tried. */
  readonly origins: readonly string[];
  /** Who we are; `null` if etcd is not to ask. */
  readonly user: { readonly name: string; readonly password: string } | null;
  /** For `https://`. */
  readonly tls: TlsMaterial;
}

/** The settings that {@linkcode readEtcdServers} reads, by the keys of the worker's options. */
export interface EtcdSettings {
  /** URLs joined by commas. */
  readonly etcdEndpoints: string;
  /** User. */
  readonly etcdUsername?: string;
  /** Password of the user. */
  readonly etcdPassword?: string;
  /** Authorities to trust, as PEM text or the path of a file with it. */
  readonly etcdTlsCa?: string;
  /** Certificate, likewise. */
  readonly etcdTlsCert?: string;
  /** Its key, likewise. */
  readonly etcdTlsKey?: string;
}

/** What a reader of the settings works with. */
export interface EtcdServersParts {
  /** PEM files. */
  readonly files: Pick<Files, "read">;
  /** Where is told what settings are of no use. */
  readonly log: Log;
}

/**
 * Reads where etcd is. A URL without a scheme is `https://` if there are TLS settings.
 *
 * Stock workers take PEM text only where their documents say path, and drop the TLS settings when there is a password;
 * here both forms are taken, and TLS and a password go together.
 *
 * @throws {DynamoError} `InvalidArgument` if a URL is none, a PEM file cannot be read, or only one half of a pair is set.
 * @source dynamo-runtime 1.6.1, `transports/etcd.rs`: names of the variables
 */
export async function readEtcdServers(settings: EtcdSettings, { files, log }: EtcdServersParts): Promise<EtcdServers> {
  const { etcdUsername: name, etcdPassword: password, etcdTlsCa, etcdTlsCert, etcdTlsKey } = settings;
  checkPair("ETCD_AUTH_USERNAME", name, "ETCD_AUTH_PASSWORD", password);
  checkPair("ETCD_AUTH_CLIENT_CERT", etcdTlsCert, "ETCD_AUTH_CLIENT_KEY", etcdTlsKey);
  const [ca, cert, key] = await Promise.all([
    readPem("ETCD_AUTH_CA", etcdTlsCa, files),
    readPem("ETCD_AUTH_CLIENT_CERT", etcdTlsCert, files),
    readPem("ETCD_AUTH_CLIENT_KEY", etcdTlsKey, files),
  ]);
  const tls = { ...(ca === null ? {} : { ca }), ...(cert === null ? {} : { cert }), ...(key === null ? {} : { key }) };
  const hasTls = Object.keys(tls).length > 0;
  const origins = readOrigins(settings.etcdEndpoints, hasTls ? "https" : "http");
  if (hasTls && origins.some((origin) => origin.startsWith("http:"))) {
    log.warn("Connections to http:// endpoints of etcd are not encrypted: ETCD_AUTH_CA and the like need https://");
  }
  return { origins, tls, user: name === undefined || password === undefined ? null : { name, password } };
}

function checkPair(nameA: string, a: string | undefined, nameB: string, b: string | undefined): void {
  if ((a === undefined) === (b === undefined)) return;
  const [set, unset] = a === undefined ? [nameB, nameA] : [nameA, nameB];
  throw invalidArgument(`${set} is set without ${unset}; etcd needs both`);
}

function readOrigins(text: string, scheme: string): string[] {
  const urls = text.split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
  if (urls.length === 0) throw invalidArgument("ETCD_ENDPOINTS: no endpoint is named; write http://host:2379");
  return [...new Set(urls.map((url) => readOrigin(url.includes("://") ? url : `${scheme}://${url}`, url)))];
}

function readOrigin(url: string, given: string): string {
  const advice = "write http://host:2379 or https://host:2379, several joined by commas";
  const shown = given.replace(/[^/]*@/, "");
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || !/^\/?$/.test(parsed.pathname + parsed.search)) {
    throw invalidArgument(`ETCD_ENDPOINTS: ${shown} is no endpoint; ${advice}`);
  }
  if (parsed.username !== "") {
    throw invalidArgument(`ETCD_ENDPOINTS: ${shown}: user and password go into ETCD_AUTH_USERNAME and _PASSWORD`);
  }
  return parsed.origin;
}

async function readPem(name: string, value: string | undefined, files: Pick<Files, "read">): Promise<string | null> {
  if (value === undefined) return null;
  // In an environment line breaks are often written as two characters.
  if (value.includes("-----BEGIN ")) return value.replaceAll("\\n", "\n");
  let bytes: Uint8Array;
  try {
    bytes = await files.read(value);
  } catch (cause) {
    // The value is not shown: it may be a key.
    const { code = "unreadable" } = cause as { code?: string };
    throw invalidArgument(`${name}: neither PEM text nor a file that can be read (${code})`, { cause });
  }
  const text = new TextDecoder().decode(bytes);
  if (!text.includes("-----BEGIN ")) throw invalidArgument(`${name}: there is no PEM text in ${value}`);
  return text;
}
