/**
 * HTTP serving over the runtime's own server.
 *
 * @module
 */
import type { Clock, Http, HttpServer, SocketAddress } from "./platform.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** The parts of `Deno.serve` and `Bun.serve` used here; each is there on its own runtime only. */
interface Runtimes {
  readonly Deno?: {
    serve(
      options: { hostname: string; port: number; signal: AbortSignal; onListen: () => void; onError: () => Response },
      handler: Handler,
    ): { addr: { hostname: string; port: number }; finished: Promise<void>; shutdown(): Promise<void> };
  };
  readonly Bun?: {
    serve(options: { hostname: string; port: number; idleTimeout: number; fetch: Handler; error: () => Response }): {
      hostname: string;
      port: number;
      stop(closeActive: boolean): Promise<void>;
    };
  };
}

const runtimes = globalThis as unknown as Runtimes;
/** How long responses that are being sent may go on when the server stops. @unit milliseconds */
const CLOSE_MS = 500;

const internalError = () => new Response("Internal server error", { status: 500 });

/** HTTP serving of this runtime. */
export function createHttp(clock: Clock): Http {
  // An `async` function, so that a port in use rejects rather than throws.
  // deno-lint-ignore require-await
  const serve = async (address: SocketAddress, handler: Handler): Promise<HttpServer> => {
    if (runtimes.Deno !== undefined) return serveDeno(runtimes.Deno, clock, address, handler);
    if (runtimes.Bun !== undefined) return serveBun(runtimes.Bun, clock, address, handler);
    throw new Error("Cannot serve HTTP: this runtime is neither Deno nor Bun");
  };
  return { serve };
}

function serveDeno(
  deno: NonNullable<Runtimes["Deno"]>,
  clock: Clock,
  { host, port }: SocketAddress,
  handler: Handler,
): HttpServer {
  const force = new AbortController();
  const server = deno.serve(
    { hostname: host, port, signal: force.signal, onListen: () => {}, onError: internalError },
    handler,
  );
  return {
    address: { host: server.addr.hostname, port: server.addr.port },
    async [Symbol.asyncDispose](): Promise<void> {
      using _timer = clock.timer(CLOSE_MS, () => force.abort());
      await Promise.all([server.shutdown(), server.finished]).catch(() => {});
    },
  };
}

function serveBun(
  bun: NonNullable<Runtimes["Bun"]>,
  clock: Clock,
  { host, port }: SocketAddress,
  fetch: Handler,
): HttpServer {
  const server = bun.serve({ hostname: host, port, idleTimeout: 0, fetch, error: internalError });
  return {
    address: { host: server.hostname, port: server.port },
    async [Symbol.asyncDispose](): Promise<void> {
      using _timer = clock.timer(CLOSE_MS, () => void server.stop(true));
      await server.stop(false);
    },
  };
}
