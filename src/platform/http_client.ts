/**
 * HTTP calls through the runtime's own `fetch`.
 *
 * @module
 */
import type { HttpAnswer, HttpClient, HttpClients, HttpRequest, TlsMaterial } from "./platform.ts";

/** A pool of connections on Deno. */
interface DenoHttpClient {
  close(): void;
}

/** The parts of both runtimes used here; each is there on its own runtime only. */
interface Runtimes {
  readonly Deno?: {
    createHttpClient(options: { caCerts?: string[]; cert?: string; key?: string; http2: boolean }): DenoHttpClient;
  };
}

/** What `fetch` takes beside the standard, by runtime. */
interface Extras {
  readonly client?: DenoHttpClient;
  readonly tls?: TlsMaterial;
  readonly timeout?: false;
}

const { Deno } = globalThis as unknown as Runtimes;

/** HTTP clients of this runtime. */
export const httpClients: HttpClients = {
  open(tls = {}): HttpClient {
    if (Deno === undefined) {
      // Bun gives up bodies that rest for five minutes unless told otherwise.
      const extras = { timeout: false, ...(Object.keys(tls).length === 0 ? {} : { tls }) } as const;
      return { send: (request) => send(request, extras), [Symbol.dispose]: () => {} };
    }
    const { ca, ...identity } = tls;
    const trust = ca === undefined ? {} : { caCerts: [ca] };
    const client = Deno.createHttpClient({ ...trust, ...identity, http2: false });
    return { send: (request) => send(request, { client }), [Symbol.dispose]: () => client.close() };
  },
};

async function send({ url, ...asked }: HttpRequest, extras: Extras): Promise<HttpAnswer> {
  const init = { ...asked, redirect: "manual", ...extras };
  const response = await fetch(url, init as RequestInit);
  return {
    status: response.status,
    contentType: (response.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase(),
    body: response.body === null ? nothing() : abortable(response.body, asked.signal),
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** On Deno the signal of a request does not reach a body that rests. */
async function* abortable(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", cancel);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
