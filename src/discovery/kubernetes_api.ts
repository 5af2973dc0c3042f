/**
 * Calls to the API server of a cluster.
 *
 * @module
 */
import { type Clock, delay, type HttpAnswer, type HttpClient, type HttpRequest } from "../platform/platform.ts";
import { Ending, lines, readAll } from "./http_text.ts";
import type { KubernetesServer } from "./kubernetes_config.ts";
import { object } from "./kubernetes_resource.ts";

/** What calls are made with. */
export interface KubernetesApiParts {
  /** Where the API server is. */
  readonly server: KubernetesServer;
  /** Connections; the API disposes them. */
  readonly http: HttpClient;
  /** Time. */
  readonly clock: Clock;
}

/** A refusal of the API server, or none of its answers. */
export class KubernetesError extends Error {
  /** Status code; 0 if no answer came. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.name = "KubernetesError";
  }

  /** Whether the same call may succeed later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** One call. */
export interface KubernetesCall extends Pick<HttpRequest, "method" | "body"> {
  /** Path with its query. */
  readonly path: string;
  /** Media type of the body. */
  readonly contentType?: string;
}

/** How long an answer may take. @unit milliseconds */
const ATTEMPT_MS = 10_000;
/** How long a call is repeated. @unit milliseconds */
const PATIENCE_MS = 10_000;
const FIRST_PAUSE_MS = 250;

/** What a cluster is missing when it answers in this way. */
const ADVICE: Readonly<Record<number, string>> = {
  401: "the token is not accepted",
  403: "the service account needs a role that allows it",
  404: "are Dynamo's custom resource definitions installed?",
};

/** Calls. Disposing it ends those that are under way, which then fail. */
export class KubernetesApi implements Disposable {
  readonly #parts: KubernetesApiParts;
  readonly #closing = new AbortController();

  constructor(parts: KubernetesApiParts) {
    this.#parts = parts;
  }

  /** Makes a call, again and again for 10 s while the server is out of reach or has too much to do. @throws {KubernetesError} */
  async call(call: KubernetesCall): Promise<string> {
    const { clock } = this.#parts;
    const end = clock.now() + PATIENCE_MS;
    for (let pauseMs = FIRST_PAUSE_MS;; pauseMs *= 2) {
      try {
        return await this.#attempt(call);
      } catch (error) {
        const passes = error instanceof KubernetesError && error.isPassing && clock.now() + pauseMs < end;
        if (!passes || this.#closing.signal.aborted) throw error;
      }
      await delay(clock, pauseMs, this.#closing.signal);
    }
  }

  /** The lines of an answer as they come, until the server or the signal ends it. @throws {KubernetesError} */
  async *stream(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const call = { method: "GET", path } as const;
    using over = new Ending([this.#closing.signal, signal]);
    try {
      const late = this.#parts.clock.timer(ATTEMPT_MS, () => over.end(LATE));
      const answer = await this.#send(call, over.signal).finally(() => late[Symbol.dispose]());
      if (answer.status !== 200) throw refusal(call, answer.status, await readAll(answer.body));
      yield* lines(answer.body);
    } catch (error) {
      throw this.#explain(call, error, over.signal);
    }
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#parts.http[Symbol.dispose]();
  }

  async #attempt(call: KubernetesCall): Promise<string> {
    using over = new Ending([this.#closing.signal]);
    using _late = this.#parts.clock.timer(ATTEMPT_MS, () => over.end(LATE));
    try {
      const answer = await this.#send(call, over.signal);
      const text = await readAll(answer.body);
      if (answer.status >= 200 && answer.status < 300) return text;
      throw refusal(call, answer.status, text);
    } catch (error) {
      throw this.#explain(call, error, over.signal);
    }
  }

  async #send({ method, path, body, contentType }: KubernetesCall, signal: AbortSignal): Promise<HttpAnswer> {
    const { server, http } = this.#parts;
    const token = await server.token();
    const headers = {
      accept: "application/json",
      ...(contentType === undefined ? {} : { "content-type": contentType }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    return await http.send({
      method,
      url: server.origin + path,
      headers,
      signal,
      ...(body === undefined ? {} : { body }),
    });
  }

  #explain(call: KubernetesCall, error: unknown, { aborted, reason }: AbortSignal): Error {
    if (error instanceof KubernetesError) return error;
    const message = aborted ? String(reason) : (error as Error).message;
    const { origin } = this.#parts.server;
    return new KubernetesError(0, `No answer from Kubernetes to ${where(call)} at ${origin}: ${message}`, {
      cause: error,
    });
  }
}

const LATE = `no answer within ${ATTEMPT_MS / 1000} s`;

function refusal(call: KubernetesCall, status: number, text: string): KubernetesError {
  const advice = ADVICE[status] === undefined ? "" : ` (${ADVICE[status]})`;
  return new KubernetesError(status, `Kubernetes refuses ${where(call)}: ${status}, ${reasonOf(text)}${advice}`);
}

/** The message of a `Status`, or the beginning of what is none. */
function reasonOf(text: string): string {
  try {
    const { message } = object(JSON.parse(text));
    if (typeof message === "string") return message;
  } catch {
    // Some proxy's page.
  }
  return JSON.stringify(text.slice(0, 100));
}

function where({ method, path }: KubernetesCall): string {
  return `${method} ${path.replace(/\?.*$/, "")}`;
}
