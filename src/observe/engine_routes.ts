/**
 * The HTTP side of what operators may do with a running engine: everything under `/engine/`.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { decodeText, parseJson, stringifyJson } from "../protocol/payload.ts";
import { jsonFault } from "./json_fault.ts";

/** An answer. */
export interface EngineReply {
  /** HTTP status: 409 is for a worker in the wrong state. */
  readonly status: 200 | 409 | 500;
  /** What the caller gets, as JSON. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** One path under `/engine/`. */
export interface EngineRoute {
  /** The only method it takes. @default any */
  readonly method?: "GET" | "POST";
  /** Does what it is for; never throws. @param body The JSON of the request, `{}` if it has none. */
  call(body: unknown): EngineReply | Promise<EngineReply>;
}

/** What is to be had under `/engine/`. */
export interface EngineRoutes {
  /** The route of a path such as `control/sleep`; `null` if there is none now. */
  find(path: string): EngineRoute | null;
}

/** Longest body of a request. @unit bytes @source axum-core 0.5: default limit, and what is said about a longer one */
export const MAX_BODY_BYTES = 2 * 1024 * 1024;
const TOO_LONG = "Failed to buffer the request body: length limit exceeded";

/**
 * Serves the routes.
 *
 * @source dynamo-runtime 1.6.1, `system_status_server.rs`, `engine_route_handler`: any method, the body is looked at
 * first, JSON goes out as text/plain
 */
export function serveEngineRoutes(app: Hono, routes: EngineRoutes): void {
  const limit = bodyLimit({ maxSize: MAX_BODY_BYTES, onError: (c) => c.text(TOO_LONG, 413) });
  app.all("/engine/:path{.+}", limit, async (c) => {
    const path = c.req.param("path");
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    const body = parseBody(bytes);
    if (body === undefined) return reply(c, { error: "Invalid JSON", message: jsonFault(bytes) }, 400);
    const route = routes.find(path);
    if (route === null) {
      return reply(c, { error: "Route not found", message: `Route /engine/${path} not found` }, 404);
    }
    const method = c.req.method === "HEAD" ? "GET" : c.req.method;
    if (route.method !== undefined && route.method !== method) {
      c.header("allow", route.method);
      return reply(c, { error: "Method not allowed", message: `/engine/${path} takes ${route.method} only` }, 405);
    }
    const { status, body: answer } = await route.call(body);
    return reply(c, answer, status);
  });
}

/** The value; `undefined` if it is no JSON. */
function parseBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return {};
  try {
    return parseJson(decodeText(bytes));
  } catch {
    return undefined;
  }
}

function reply(c: Context, body: EngineReply["body"], status: 200 | 400 | 404 | 405 | 409 | 500): Response {
  return c.body(stringifyJson(body), status, { "content-type": "text/plain; charset=utf-8" });
}
