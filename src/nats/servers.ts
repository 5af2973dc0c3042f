/**
 * `NATS_SERVER` and the variables beside it.
 *
 * @module
 */
import { invalidArgument } from "../protocol/error.ts";

/** How a worker proves to a NATS server who it is. */
export type NatsAuth =
  | { /** Tells it from the others. */ readonly kind: "password"; readonly user: string; readonly password: string }
  | { /** Tells it from the others. */ readonly kind: "token"; readonly token: string }
  | { /** Tells it from the others. */ readonly kind: "nkey"; /** The seed. */ readonly seed: string }
  | { /** Tells it from the others. */ readonly kind: "credentials"; /** A `.creds` file. */ readonly file: string };

/** What a connection over TLS is made with; paths of PEM files. */
export interface NatsTls {
  /** Authorities to trust beside those of the system. */
  readonly caFile?: string;
  /** Certificate of the worker. */
  readonly certFile?: string;
  /** Its key. */
  readonly keyFile?: string;
  /** Takes any certificate of the server. */
  readonly isInsecure: boolean;
}

/** Where NATS is and how to be let in. */
export interface NatsServers {
  /** `host:port`, in no order: one of them is picked. */
  readonly addresses: readonly string[];
  /** How to be let in. */
  readonly auth: NatsAuth;
  /** `null` unless the URLs are `tls://`. */
  readonly tls: NatsTls | null;
}

/** The settings that {@linkcode readNatsServers} reads, by the keys of the worker's options. */
export interface NatsSettings {
  /** URLs joined by commas. */
  readonly natsServer: string;
  /** User. */
  readonly natsUsername?: string;
  /** Password of the user. */
  readonly natsPassword?: string;
  /** Token. */
  readonly natsToken?: string;
  /** Seed of an NKey. */
  readonly natsNkey?: string;
  /** Path of a `.creds` file. */
  readonly natsCredentialsFile?: string;
  /** Path of a PEM file with authorities. */
  readonly natsTlsCaFile?: string;
  /** Path of a PEM file with a certificate. */
  readonly natsTlsCertFile?: string;
  /** Path of a PEM file with its key. */
  readonly natsTlsKeyFile?: string;
  /** Takes any certificate of the server. */
  readonly natsTlsInsecure: boolean;
}

const DEFAULT_PORT = "4222";

/**
 * Reads where NATS is. What URLs say about users comes first, then the variables, in the order of the reference worker.
 *
 * @throws {DynamoError} `InvalidArgument` if a URL is none, schemes are mixed, or TLS is set up for `nats://`.
 * @source dynamo-runtime 1.6.1, `transports/nats.rs`: schemes, order of credentials, `user`/`user` when there are none
 */
export function readNatsServers(settings: NatsSettings): NatsServers {
  const urls = settings.natsServer.split(",").map((text) => readUrl(text.trim()));
  const schemes = new Set(urls.map(({ protocol }) => protocol));
  if (schemes.size > 1) throw invalidArgument("NATS_SERVER: use either nats:// or tls:// for all servers");
  const tls = readTls(settings);
  const hasTls = schemes.has("tls:");
  if (!hasTls && (tls.isInsecure || Object.keys(tls).length > 1)) {
    throw invalidArgument("NATS_TLS_* needs tls:// in NATS_SERVER; with nats:// the connection is not encrypted");
  }
  const named = urls.find(({ username }) => username !== "");
  return {
    addresses: urls.map(({ hostname, port }) => `${hostname}:${port || DEFAULT_PORT}`),
    auth: named === undefined ? readAuth(settings) : authOf(named),
    tls: hasTls ? tls : null,
  };
}

function readUrl(text: string): URL {
  // The scheme is unknown to URL, whose parser keeps the host as it is then; `http` makes it look closer.
  const match = /^(nats|tls):\/\/(.+)$/.exec(text);
  try {
    if (match === null) throw new TypeError();
    const { hostname, port, username, password } = new URL(`http://${match[2]}`);
    const isDefaultOfHttp = port === "" && /:80$/.test(match[2]!);
    return { protocol: `${match[1]}:`, hostname, port: isDefaultOfHttp ? "80" : port, username, password } as URL;
  } catch {
    throw invalidArgument(
      `NATS_SERVER: ${
        withoutUser(text)
      } is no server; write nats://host:4222 or tls://host:4222, several joined by commas`,
    );
  }
}

/** What may be shown of a URL. */
function withoutUser(text: string): string {
  return text.replace(/[^/]*@/, "");
}

function authOf({ username, password }: URL): NatsAuth {
  const user = decodeURIComponent(username);
  if (password === "") return { kind: "token", token: user };
  return { kind: "password", user, password: decodeURIComponent(password) };
}

function readAuth(settings: NatsSettings): NatsAuth {
  const { natsUsername: user, natsPassword: password, natsToken: token, natsNkey: seed, natsCredentialsFile: file } =
    settings;
  if (user !== undefined && password !== undefined) return { kind: "password", user, password };
  if (token !== undefined) return { kind: "token", token };
  if (seed !== undefined) return { kind: "nkey", seed };
  if (file !== undefined) return { kind: "credentials", file };
  return { kind: "password", user: "user", password: "user" };
}

function readTls(settings: NatsSettings): NatsTls {
  const { natsTlsCaFile: caFile, natsTlsCertFile: certFile, natsTlsKeyFile: keyFile } = settings;
  return {
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    isInsecure: settings.natsTlsInsecure,
  };
}
