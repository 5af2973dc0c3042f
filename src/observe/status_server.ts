/**
 * The HTTP side of a worker: health, metrics and its model files.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { stringifyJson } from "../protocol/payload.ts";
import type { Artifacts } from "./artifacts.ts";
import { type EngineRoutes, serveEngineRoutes } from "./engine_routes.ts";
import { type Log, SILENT } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export { Artifacts } from "./artifacts.ts";

/** What a worker says about its health. */
export interface Health {
  /** Whether it serves and wants new requests. */
  readonly ready: boolean;
  /** Time since the process started. @unit milliseconds */
  readonly uptimeMs: number;
  /** State of each endpoint by name. */
  readonly endpoints: Readonly<Record<string, "ready" | "notready">>;
}

/** What {@linkcode createStatusApp} works with. */
export interface StatusAppOptions {
  /** Asked at each request. */
  readonly health: () => Health;
  /** The exposition. */
  readonly metrics: Metrics;
  /** The model files. */
  readonly artifacts: Artifacts;
  /** What is published in discovery, as JSON; `null` if the backend has nothing to show. @default nothing */
  readonly metadata?: () => string | null;
  /** What operators may do with the engine, under `/engine/`. @default nothing */
  readonly engine?: EngineRoutes;
  /** Where is told which file could not be read. @default nowhere */
  readonly log?: Log;
  /** Path of the readiness probe. @default "/health" @env DYN_SYSTEM_HEALTH_PATH */
  readonly healthPath?: string;
  /** Path of the liveness probe. @default "/live" @env DYN_SYSTEM_LIVE_PATH */
  readonly livePath?: string;
}

/**
 * Makes the app; serving its `fetch` is somebody else's task.
 *
 * Unlike a stock worker's, its `/live` is 200 from the first moment on: it says that the process answers, with the body
 * of `/health`. A worker that is still loading is not restarted for it.
 *
 * @source dynamo-runtime 1.6.1, `system_status_server.rs`: routes, bodies, and JSON as text/plain
 */
export function createStatusApp(options: StatusAppOptions): Hono {
  const { health, metrics, artifacts, log = SILENT } = options;
  const app = new Hono();

  app.get(slashed(options.healthPath ?? "/health"), (c) => {
    const state = health();
    return text(c, healthBody(state), state.ready ? 200 : 503);
  });
  app.get(slashed(options.livePath ?? "/live"), (c) => text(c, healthBody(health()), 200));
  app.get("/metrics", async (c) => c.body(await metrics.text(), 200, { "content-type": metrics.contentType }));
  app.get("/metadata", (c) => {
    const shown = options.metadata?.() ?? null;
    return shown === null
      ? text(c, "Discovery metadata not available", 404)
      : c.body(shown, 200, { "content-type": "application/json" });
  });

  app.get("/v1/metadata/:ns/:component/:endpoint/:slug/:suffix/:file", async (c) => {
    const { ns, component, endpoint, slug, suffix, file } = c.req.param();
    const read = artifacts.find(["/v1/metadata", ns, component, endpoint, slug, suffix, file].join("/"));
    if (read === undefined) return text(c, "Not found", 404);
    try {
      // Read anew each time; a range is not asked for by frontends, and ignored.
      const bytes = new Uint8Array(await read());
      return c.body(bytes, 200, {
        "content-type": "application/octet-stream",
        "content-length": String(bytes.length),
      });
    } catch (error) {
      log.warn("Cannot read model file", { file, error });
      return text(c, "Failed to read file", 500);
    }
  });

  if (options.engine !== undefined) serveEngineRoutes(app, options.engine);

  app.notFound((c) => text(c, "Route not found", 404));
  app.onError((error, c) => {
    log.error("Cannot answer status request", { path: c.req.path, error });
    return text(c, "Internal server error", 500);
  });
  return app;
}

function healthBody({ ready, uptimeMs, endpoints }: Health): string {
  const secs = Math.floor(uptimeMs / 1000);
  const nanos = Math.round((uptimeMs - secs * 1000) * 1e6) % 1e9;
  return stringifyJson({ status: ready ? "ready" : "notready", uptime: { secs, nanos }, endpoints });
}

function text(c: Context, body: string, status: 200 | 404 | 500 | 503): Response {
  return c.body(body, status, { "content-type": "text/plain; charset=utf-8" });
}

/** A path as it is served: it begins with a slash. */
export function slashed(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}
