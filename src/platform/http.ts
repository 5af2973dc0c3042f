/**
 * HTTP serving over the runtime's own server.
 *
 * @module
 */
import type { Http, HttpServer, SocketAddress } from "./platform.ts";

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
export const http: Http = {
  serve(address: SocketAddress, handler: Handler): Promise<HttpServer> {
    try {
      if (runtimes.Deno !== undefined) return Promise.resolve(serveDeno(runtimes.Deno, address, handler));
      if (runtimes.Bun !== undefined) return Promise.resolve(serveBun(runtimes.Bun, address, handler));
    } catch (error) {
      return Promise.reject(error);
    }
    return Promise.reject(new Error("Cannot serve HTTP: this runtime is neither Deno nor Bun"));
  },
};

function serveDeno(deno: NonNullable<Runtimes["Deno"]>, { host, port }: SocketAddress, handler: Handler): HttpServer {
  const force = new AbortController();
  const server = deno.serve(
    { hostname: host, port, signal: force.signal, onListen: () => {}, onError: internalError },
    handler,
  );
  return {
    address: { host: server.addr.hostname, port: server.addr.port },
    async [Symbol.asyncDispose](): Promise<void> {
      const timer = setTimeout(() => force.abort(), CLOSE_MS);
      await Promise.all([server.shutdown(), server.finished]).catch(() => {});
      clearTimeout(timer);
    },
  };
}

function serveBun(bun: NonNullable<Runtimes["Bun"]>, { host, port }: SocketAddress, fetch: Handler): HttpServer {
  const server = bun.serve({ hostname: host, port, idleTimeout: 0, fetch, error: internalError });
  return {
    address: { host: server.hostname, port: server.port },
    async [Symbol.asyncDispose](): Promise<void> {
      const timer = setTimeout(() => server.stop(true), CLOSE_MS);
      await server.stop(false);
      clearTimeout(timer);
    },
  };
}
