/**
 * Calls to etcd's JSON gateway: to one member after the other until one answers, with a token if etcd wants one.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay, type HttpAnswer, type HttpClient, type Random } from "../platform/platform.ts";
import { Ending, lines, readAll } from "./http_text.ts";
import { connectionFault, EtcdError, gatewayError, refusal, strangeAnswer } from "./etcd_error.ts";
import { Pauses } from "./etcd_pauses.ts";
import type { EtcdServers } from "./etcd_servers.ts";
import { authenticate, type EtcdCall, type EtcdJson, integer, object, status } from "./etcd_wire.ts";

/** What a client works with. */
export interface EtcdClientParts {
  /** Where etcd is. */
  readonly servers: EtcdServers;
  /** Connections; the client disposes them. */
  readonly http: HttpClient;
  /** Time. */
  readonly clock: Clock;
  /** Keeps the clients of a fleet apart. */
  readonly random: Pick<Random, "number">;
  /** Log. */
  readonly log: Log;
}

/** How long one member may take to answer. @unit milliseconds */
const ATTEMPT_MS = 5000;
const SHORTEST_ATTEMPT_MS = 1000;
/** How long a call is repeated. @unit milliseconds */
const PATIENCE_MS = 10_000;
/** Pauses when every member has failed. @unit milliseconds */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/** A client. Disposing it ends its calls and streams, which then fail. */
export class EtcdClient implements Disposable {
  readonly #parts: EtcdClientParts;
  readonly #closing = new AbortController();
  #at = 0;
  #token: Promise<string> | null = null;
  #isIdleUserTold = false;

  constructor(parts: EtcdClientParts) {
    this.#parts = parts;
  }

  /** The member that is asked next. */
  get origin(): string {
    return this.#parts.servers.origins[this.#at]!;
  }

  /** Number of members. */
  get members(): number {
    return this.#parts.servers.origins.length;
  }

  /**
   * Asks one member once; if it cannot answer, the next call goes to the next.
   *
   * @param timeoutMs How long it may take. @unit milliseconds
   * @throws {EtcdError}
   */
  async attempt(call: EtcdCall, timeoutMs: number = ATTEMPT_MS): Promise<EtcdJson> {
    const { origin } = this;
    try {
      return await this.#authorized(origin, call, timeoutMs);
    } catch (error) {
      this.#leave(origin, error);
      throw error;
    }
  }

  /**
   * Asks every member, again and again, until one answers.
   *
   * @param patienceMs How long, also for one member; each is asked once in any case. @unit milliseconds
   * @throws {EtcdError} The last failure.
   */
  async call(call: EtcdCall, patienceMs: number = PATIENCE_MS): Promise<EtcdJson> {
    const { clock, random } = this.#parts;
    const end = clock.now() + patienceMs;
    const attemptMs = Math.min(Math.max(patienceMs, SHORTEST_ATTEMPT_MS), ATTEMPT_MS);
    const pauses = new Pauses(random, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    for (let tries = 1;; tries++) {
      try {
        return await this.attempt(call, attemptMs);
      } catch (error) {
        if (!isPassing(error) || this.#closing.signal.aborted) throw error;
        if (tries % this.members !== 0) continue;
        const pauseMs = pauses.next();
        if (clock.now() + pauseMs >= end) throw error;
        await delay(clock, pauseMs, this.#closing.signal);
      }
    }
  }

  /** Asks a member whether it has a leader; without one, its streams are silent. @throws {EtcdError} If it has none. */
  async ping(origin: string, timeoutMs: number): Promise<void> {
    try {
      const answer = await this.#authorized(origin, status(), timeoutMs);
      if (integer(answer.leader) === 0n) throw new EtcdError("busy", `${origin}: it has no leader`);
    } catch (error) {
      this.#leave(origin, error);
      throw error;
    }
  }

  /**
   * Asks a member for a stream of messages, which never ends but by failing.
   *
   * @throws {EtcdError} If no answer comes, the stream breaks off, or `signal` aborts.
   */
  async *stream(origin: string, call: EtcdCall, signal: AbortSignal): AsyncGenerator<EtcdJson> {
    const token = await this.#signedIn(origin);
    using over = new Ending([this.#closing.signal, signal]);
    try {
      const late = this.#parts.clock.timer(ATTEMPT_MS, () => over.end(lateness(ATTEMPT_MS)));
      const answer = await this.#post(origin, call, token, over.signal).finally(() => late[Symbol.dispose]());
      if (answer.status !== 200) throw this.#failure(answer, await readAll(answer.body));
      for await (const line of lines(answer.body)) yield this.#decode(answer, line);
      throw new TypeError("the stream ended");
    } catch (error) {
      const known = explain(origin, error, over.signal);
      if (known.fault === "token") this.#token = null;
      if (!signal.aborted) this.#leave(origin, known);
      throw known;
    }
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#parts.http[Symbol.dispose]();
  }

  #leave(origin: string, error: unknown): void {
    if (isPassing(error) && this.origin === origin) this.#at = (this.#at + 1) % this.members;
  }

  async #authorized(origin: string, call: EtcdCall, timeoutMs: number): Promise<EtcdJson> {
    const session = this.#signedIn(origin);
    try {
      return await this.#ask(origin, call, await session, timeoutMs);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.fault !== "token") throw error;
      // Whoever is told first that the token has run out fetches the next one for all.
      if (this.#token === session) this.#token = null;
      return await this.#ask(origin, call, await this.#signedIn(origin), timeoutMs);
    }
  }

  /** The token, or an empty text where none is needed. */
  #signedIn(origin: string): Promise<string> {
    const { user } = this.#parts.servers;
    if (user === null) return this.#token ??= Promise.resolve("");
    if (this.#token !== null) return this.#token;
    const signingIn = this.#ask(origin, authenticate(user.name, user.password), "", ATTEMPT_MS).then(
      ({ token }) => String(token ?? ""),
      (error) => {
        if (this.#token === signingIn) this.#token = null;
        if (!/authentication is not enabled/.test(error.message)) throw error;
        this.#tellIdleUser();
        return "";
      },
    );
    return this.#token = signingIn;
  }

  #tellIdleUser(): void {
    if (!this.#isIdleUserTold) this.#parts.log.warn("etcd lets everybody in: ETCD_AUTH_USERNAME is of no use");
    this.#isIdleUserTold = true;
  }

  async #ask(origin: string, call: EtcdCall, token: string, timeoutMs: number): Promise<EtcdJson> {
    using over = new Ending([this.#closing.signal]);
    using _late = this.#parts.clock.timer(timeoutMs, () => over.end(lateness(timeoutMs)));
    try {
      const answer = await this.#post(origin, call, token, over.signal);
      return this.#decode(answer, await readAll(answer.body));
    } catch (error) {
      throw explain(origin, error, over.signal);
    }
  }

  #post(origin: string, { path, body }: EtcdCall, token: string, signal: AbortSignal): Promise<HttpAnswer> {
    return this.#parts.http.send({
      method: "POST",
      url: origin + path,
      headers: { "content-type": "application/json", ...(token === "" ? {} : { authorization: token }) },
      body: JSON.stringify(body),
      signal,
    });
  }

  /** Messages of streams are wrapped in a `result`. */
  #decode(answer: HttpAnswer, text: string): EtcdJson {
    const body = answer.contentType === "application/json" ? parse(text) : null;
    if (body === null || gatewayError(body) !== null || answer.status !== 200) throw this.#failure(answer, text);
    return body.result === undefined ? body : object(body.result);
  }

  #failure({ status, contentType }: HttpAnswer, text: string): EtcdError {
    const error = contentType === "application/json" ? gatewayError(parse(text)) : null;
    const name = this.#parts.servers.user?.name ?? "(none)";
    return error === null ? strangeAnswer(status, contentType, text) : refusal(error, name);
  }
}

/** Whether a call that failed in this way may succeed later. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof EtcdError) || error.isPassing;
}

function explain(origin: string, error: unknown, { aborted, reason }: AbortSignal): EtcdError {
  if (error instanceof EtcdError) return new EtcdError(error.fault, `${origin}: ${error.message}`, { cause: error });
  return new EtcdError("unreachable", `${origin}: ${aborted ? reason : connectionFault(error)}`, { cause: error });
}

function lateness(timeoutMs: number): string {
  return `no answer within ${timeoutMs / 1000} s`;
}

function parse(text: string): EtcdJson | null {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}
