/**
 * A connection to NATS that is made again, for ever, whenever it is lost.
 *
 * The library opens the sockets itself, so that they do not go through the platform's `Net` and its timers are real; a
 * simulated worker uses other planes. It is loaded here, when somebody asks for a connection, and nowhere else; none of
 * its types leave this file.
 *
 * @module
 */
import type {
  Authenticator,
  ConnectionOptions,
  Msg,
  MsgHdrs,
  NatsConnection,
  TlsOptions,
} from "@nats-io/transport-node";
import type { Log } from "../observe/log.ts";
import { type Clock, delay, type Files } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { NatsAuth, NatsServers, NatsTls } from "./servers.ts";

/** Settings of {@linkcode openNatsLink}. */
export interface NatsLinkOptions {
  /** Where NATS is. */
  readonly servers: NatsServers;
  /** Credentials are read from here. */
  readonly files: Files;
  /** Time between attempts at the start. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** How long the first connection may take, all attempts together. @unit milliseconds */
  readonly patienceMs: number;
  /** Ends the attempts. */
  readonly signal?: AbortSignal;
}

/** A message as it came. Its view is valid during the call only. */
export interface NatsMessage {
  /** What it says. */
  readonly bytes: Uint8Array;
  /** Its headers, the first value of each. */
  readonly headers: Readonly<Record<string, string>>;
  /** Answers it; nobody hears it if no answer was asked for. Never throws. */
  reply(bytes: Uint8Array): void;
}

/** Where the messages of a subscription go. */
export interface NatsReader {
  /** Called with each. */
  take(message: NatsMessage): void;
  /** Called when the server does not let us have them; there are none then. */
  refused(error: Error): void;
}

/** A subscription, which is made again with the connection. Disposing it ends it at once. */
export interface NatsSubscription extends Disposable {
  /** Ends it once all has come that the server has sent; resolves then, or when the connection is lost. */
  drain(): Promise<void>;
}

/** A connection. Disposing it closes it at once, whatever waits. */
export interface NatsLink extends AsyncDisposable {
  /** Whether there is a connection as far as is known. */
  readonly isUp: boolean;
  /** Longest message the server takes. @unit bytes */
  readonly maxPayload: number;
  /** Calls `run` whenever there is a connection again. */
  onBack(run: () => void): void;
  /** Hands a message to the system, or to nobody if the connection is gone; {@linkcode flush} tells. Never throws. */
  send(subject: string, bytes: Uint8Array): void;
  /** Resolves with whether the server has all that was sent before; `false` if the connection was lost meanwhile. */
  flush(): Promise<boolean>;
  /** Takes the messages of a subject; of several subscribers with one `queue`, one gets each. */
  subscribe(subject: string, reader: NatsReader, queue?: string): NatsSubscription;
  /**
   * Sends a message and waits for its answer.
   *
   * @param timeoutMs Longest wait. @unit milliseconds
   * @throws {DynamoError} `CannotConnect` if nobody is there or the connection is gone, `ConnectionTimeout` if no answer
   * comes in time.
   */
  request(
    subject: string,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
  ): Promise<Uint8Array>;
}

type NatsLibrary = typeof import("@nats-io/transport-node");

/** Attempts at the start. @source dynamo-runtime 1.6.1, `transports/nats.rs` */
const ATTEMPT_MS = 5000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 5000;
/** Attempts after a loss; the jitter keeps the workers of a fleet apart. */
const RECONNECT_MS = 500;
const RECONNECT_JITTER_MS = 1000;
/** A server that does not answer this often is lost. */
const PING_MS = 20_000;

/**
 * Connects, and tries again for as long as the patience lasts.
 *
 * @throws {DynamoError} `CannotConnect` if no server is there in time, none lets us in, or `signal` aborts.
 */
export async function openNatsLink(options: NatsLinkOptions): Promise<NatsLink> {
  const { clock, log, patienceMs, servers, signal } = options;
  const nats: NatsLibrary = await import("@nats-io/transport-node");
  const wanted = { ...connectionOptions(servers), authenticator: await authenticator(nats, options) };
  const end = clock.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return new Link(await nats.connect(wanted), nats, log);
    } catch (cause) {
      const fault = cause instanceof Error ? cause.message : String(cause);
      const isFinal = cause instanceof nats.AuthorizationError || clock.now() + pauseMs >= end;
      if (isFinal || signal?.aborted) throw cannotConnect(servers, fault, cause);
      if (pauseMs === FIRST_PAUSE_MS) log.warn("NATS is not there yet; trying on", { ...about(servers), error: fault });
    }
    await delay(clock, pauseMs, signal);
  }
}

function cannotConnect(servers: NatsServers, fault: string, cause: unknown): DynamoError {
  const message = `Cannot connect to NATS at ${servers.addresses.join(", ")}: ${fault}; start a nats-server there, ` +
    "or set NATS_SERVER (and NATS_AUTH_* if it wants to know who you are)";
  return new DynamoError("CannotConnect", message, { cause });
}

function about({ addresses }: NatsServers): { readonly servers: string } {
  return { servers: addresses.join(", ") };
}

function connectionOptions({ addresses, tls }: NatsServers): ConnectionOptions {
  return {
    servers: [...addresses],
    name: "stator",
    timeout: ATTEMPT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    ignoreAuthErrorAbort: true,
    pingInterval: PING_MS,
    noAsyncTraces: true,
    ...(tls === null ? {} : { tls: tlsOptions(tls) }),
  };
}

/** The library hands what it does not know on to the runtime. */
function tlsOptions({ isInsecure, ...paths }: NatsTls): TlsOptions {
  return { ...paths, rejectUnauthorized: !isInsecure } as TlsOptions;
}

async function authenticator(
  nats: NatsLibrary,
  { servers: { auth }, files }: NatsLinkOptions,
): Promise<Authenticator> {
  if (auth.kind === "password") return nats.usernamePasswordAuthenticator(auth.user, auth.password);
  if (auth.kind === "token") return nats.tokenAuthenticator(auth.token);
  if (auth.kind === "nkey") return nats.nkeyAuthenticator(new TextEncoder().encode(auth.seed));
  return nats.credsAuthenticator(await readCredentials(auth, files));
}

async function readCredentials({ file }: NatsAuth & { kind: "credentials" }, files: Files): Promise<Uint8Array> {
  try {
    return await files.read(file);
  } catch (cause) {
    const { message } = cause as Error;
    throw new DynamoError("InvalidArgument", `NATS_AUTH_CREDENTIALS_FILE: cannot read ${file}: ${message}`, { cause });
  }
}

class Link implements NatsLink {
  isUp = true;
  readonly #connection: NatsConnection;
  readonly #library: NatsLibrary;
  readonly #log: Log;
  readonly #back: (() => void)[] = [];
  /** Failed attempts to connect count as losses with the library. */
  #isLossTold = false;
  #lastError = "";

  constructor(connection: NatsConnection, library: NatsLibrary, log: Log) {
    this.#connection = connection;
    this.#library = library;
    this.#log = log;
    log.info("Connected to NATS", { server: connection.getServer(), max_payload: this.maxPayload });
    void this.#follow();
  }

  get maxPayload(): number {
    return this.#connection.info?.max_payload ?? Infinity;
  }

  onBack(run: () => void): void {
    this.#back.push(run);
  }

  send(subject: string, bytes: Uint8Array): void {
    try {
      this.#connection.publish(subject, bytes);
    } catch {
      // It is closed, which the next flush tells.
    }
  }

  flush(): Promise<boolean> {
    return this.#connection.flush().then(() => true, () => this.isUp = false);
  }

  subscribe(subject: string, reader: NatsReader, queue?: string): NatsSubscription {
    const callback = (error: Error | null, message: Msg) =>
      error === null ? reader.take(received(message)) : reader.refused(error);
    const subscription = this.#connection.subscribe(subject, { callback, ...(queue === undefined ? {} : { queue }) });
    return {
      [Symbol.dispose]: () => subscription.unsubscribe(),
      // The library would wait for a connection that is gone.
      drain: () => this.isUp && !subscription.isClosed() ? subscription.drain() : Promise.resolve(),
    };
  }

  async request(
    subject: string,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const { headers: makeHeaders, NoRespondersError, TimeoutError } = this.#library;
    // The library would keep it for later, when nobody waits for its answer any more.
    if (!this.isUp) throw new DynamoError("CannotConnect", `cannot reach ${subject}: the connection to NATS is lost`);
    try {
      const options = { timeout: timeoutMs, headers: fill(makeHeaders(), headers) };
      return (await this.#connection.request(subject, bytes, options)).data;
    } catch (cause) {
      if (cause instanceof TimeoutError) {
        throw new DynamoError("ConnectionTimeout", `no answer from ${subject} over NATS in time`, { cause });
      }
      const isNobody = cause instanceof NoRespondersError || (cause as Error).cause instanceof NoRespondersError;
      const fault = isNobody ? "nobody takes requests there" : (cause as Error).message;
      throw new DynamoError("CannotConnect", `cannot reach ${subject} over NATS: ${fault}`, { cause });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection.close();
  }

  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === "disconnect") this.#lost(status.server);
      else if (status.type === "reconnect") this.#returned(status.server);
      else if (status.type === "error") this.#tell(status.error);
    }
    this.isUp = false;
  }

  #lost(server: string): void {
    this.isUp = false;
    if (this.#isLossTold) return;
    this.#isLossTold = true;
    this.#log.warn("Lost the connection to NATS; trying on until it is back", { server });
  }

  #returned(server: string): void {
    this.isUp = true;
    this.#isLossTold = false;
    this.#lastError = "";
    this.#log.info("Connected to NATS again", { server });
    for (const run of this.#back) run();
  }

  /** Tells an error once, since a server may repeat it with every message or attempt. */
  #tell({ message, ...more }: Error & { readonly operation?: unknown }): void {
    // Whoever subscribed is told.
    if (more.operation === "subscription") return;
    // Every reply has a subject of its own.
    const error = message.replace(/"_INBOX\.[^"]*"/, '"_INBOX.>"');
    if (error === this.#lastError) return;
    this.#lastError = error;
    this.#log.warn("NATS refused something", { error });
  }
}

function received(message: Msg): NatsMessage {
  return {
    bytes: message.data,
    get headers() {
      const { headers } = message;
      return headers === undefined ? {} : Object.fromEntries(headers.keys().map((key) => [key, headers.get(key)]));
    },
    reply(bytes) {
      try {
        message.respond(bytes);
      } catch {
        // The connection is closed; whoever asked notices by themselves.
      }
    },
  };
}

function fill(headers: MsgHdrs, values: Readonly<Record<string, string>>): MsgHdrs {
  for (const [name, value] of Object.entries(values)) headers.set(name, value);
  return headers;
}
