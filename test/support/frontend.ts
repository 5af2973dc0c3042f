/**
 * Dynamo's own frontend as a child process, and an HTTP client for it that is as plain as can be.
 *
 * @module
 */
import { join } from "node:path";
import { PYTHON } from "./peers.ts";
import { type Child, freePort, start, until } from "./processes.ts";
import type { Store } from "./store.ts";

/** A decoded JSON answer. */
export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- bodies are compared with captures, not used
  readonly body: any;
}

/** A decoded event stream. */
export interface Stream {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- as above
  readonly events: readonly any[];
  /** Concatenated text of all events. */
  readonly text: string;
  /** The finish reason seen, if any. */
  readonly finishReason: string | null;
  /** The `error` member of an event, if any. */
  // deno-lint-ignore no-explicit-any -- as above
  readonly error: any;
  /** Whether `[DONE]` came. */
  readonly done: boolean;
}

/** A request body. */
export type Body = Readonly<Record<string, unknown>>;

/** A running frontend. */
export interface Frontend extends AsyncDisposable {
  readonly child: Child;
  readonly url: string;
  /** Names in `GET /v1/models`. */
  models(): Promise<string[]>;
  /** Waits until a model is listed and can be asked; resolves with the time it took. @unit milliseconds */
  listed(model: string, timeoutMs?: number): Promise<number>;
  /** Posts and reads one JSON answer. */
  post(path: string, body: Body, signal?: AbortSignal): Promise<Answer>;
  /** Posts with `stream: true` and reads all events; one that is not an event stream has its body as `error`. */
  stream(path: string, body: Body, options?: StreamOptions): Promise<Stream>;
  /** Warnings and errors in its log, but for those that every worker and {@linkcode Frontend.listed} cause. */
  complaints(): string[];
}

/** Settings of {@linkcode Frontend.stream}. */
export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Called with each event as it comes. */
  // deno-lint-ignore no-explicit-any -- as above
  readonly onEvent?: (event: any) => void;
}

/**
 * A connection for each request. The frontend leaves Nagle's algorithm on, and Linux delays acknowledgements where a
 * request followed an answer: on a connection that is used again, the first token waits 40 ms for that of the headers.
 */
export const freshConnections: Deno.HttpClient = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

/** Path of chat completions. */
export const CHAT = "/v1/chat/completions";
/** Path of completions. */
export const COMPLETIONS = "/v1/completions";

/** A chat body with one user message. */
export function chat(model: string, content: string, more: Body = {}): Body {
  return { model, messages: [{ role: "user", content }], ...more };
}

/** Starts a frontend on a store, with options such as `--migration-limit`, and waits until it answers. */
export async function startFrontend(
  store: Store,
  env: Readonly<Record<string, string>> = {},
  options: readonly string[] = [],
): Promise<Frontend> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = start({
    name: "dynamo frontend",
    executable: PYTHON,
    args: ["-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", String(port), ...options],
    env: { ...store.env, DYN_LOG: "info", HOME: join(store.path, "frontend-home"), ...env },
    cwd: store.path,
  });
  try {
    await until("the frontend to answer", 60_000, async () => {
      if (await Promise.race([child.exited, undefined])) throw new Error(child.output());
      return (await fetch(`${url}/v1/models`)).ok;
    });
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw new Error(`Cannot start the frontend:\n${child.output()}`, { cause: error });
  }
  return makeFrontend(child, url);
}

function makeFrontend(child: Child, url: string): Frontend {
  const send = (path: string, body: Body, signal?: AbortSignal) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      client: freshConnections,
      ...(signal === undefined ? {} : { signal }),
    });
  const models = async () => {
    const answer = await (await fetch(`${url}/v1/models`)).json() as { data: { id: string }[] };
    return answer.data.map((model) => model.id);
  };
  // It opens routes a moment after it lists their first model. A route that is there refuses to be got.
  const isOpen = async (path: string) => {
    const response = await fetch(url + path);
    await response.body?.cancel();
    return response.status === 405;
  };
  return {
    child,
    url,
    models,
    async listed(model, timeoutMs = 30_000) {
      const begin = performance.now();
      const seen = async () =>
        (await models()).includes(model) && (await Promise.all([CHAT, COMPLETIONS].map(isOpen))).includes(true);
      await until(`the frontend to list ${model}`, timeoutMs, seen)
        .catch((error) => {
          throw new Error(`${error.message}; its log:\n${child.output().slice(-4000)}`);
        });
      return performance.now() - begin;
    },
    async post(path, body, signal) {
      const response = await send(path, body, signal);
      const text = await response.text();
      return { status: response.status, body: parseJson(text) };
    },
    async stream(path, body, options = {}) {
      const response = await send(path, { ...body, stream: true }, options.signal);
      return await readStream(response, options.onEvent ?? (() => {}));
    },
    complaints: () =>
      child.output().split("\n").filter((line) =>
        /^\S+ +(WARN|ERROR) (?!mm_routing:|dynamo_kv_router::sequences::multi_worker: (?:Adding|Removing) worker)/.test(
          line,
        ) &&
        !/ status=405 .* method=GET /.test(line)
      ),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

async function readStream(response: Response, onEvent: (event: unknown) => void): Promise<Stream> {
  const { status } = response;
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const error = parseJson(await response.text());
    return { status, events: [], text: "", finishReason: null, error, done: false };
  }
  // deno-lint-ignore no-explicit-any -- bodies are compared with captures, not used
  const events: any[] = [];
  let done = false;
  for await (const data of sseData(response)) {
    if (data === "[DONE]") {
      done = true;
      continue;
    }
    const event = parseJson(data);
    events.push(event);
    onEvent(event);
  }
  const choices = events.flatMap((event) => event?.choices ?? []);
  return {
    status,
    events,
    text: choices.map((choice) => choice.delta?.content ?? choice.text ?? "").join(""),
    finishReason: choices.map((choice) => choice.finish_reason).findLast((reason) => reason) ?? null,
    error: events.find((event) => event?.error)?.error,
    done,
  };
}

async function* sseData(response: Response): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length > 0) yield data.join("\n");
    }
  }
}

// deno-lint-ignore no-explicit-any -- as above
function parseJson(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
