/**
 * The worker's own HTTP server: health, metrics, model files.
 *
 * @module
 */
import type { Discovery } from "../discovery/discovery.ts";
import type { Log } from "../observe/log.ts";
import type { EngineRoutes } from "../observe/engine_routes.ts";
import type { Metrics } from "../observe/metrics.ts";
import { Artifacts, createStatusApp } from "../observe/status_server.ts";
import { type HttpServer, listenFault, type Platform } from "../platform/platform.ts";
import type { EndpointName } from "../protocol/record.ts";
import { formatAddress, resolveListenHost } from "../protocol/address.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { ResolvedWorkerOptions } from "./options.ts";
import { serveWatched } from "./watchdog.ts";

/** What the server is made of. */
export interface SystemServerParts {
  /** The world. */
  readonly platform: Platform;
  /** Settings. */
  readonly options: ResolvedWorkerOptions;
  /** Log. */
  readonly log: Log;
  /** What `/metrics` shows. */
  readonly metrics: Metrics;
  /** What `/health` shows. */
  readonly lifecycle: Lifecycle;
  /** What is to be had under `/engine/`. */
  readonly engine: EngineRoutes;
  /** What `/metadata` shows. */
  readonly discovery: Discovery;
  /** The serving endpoint. */
  readonly name: EndpointName;
}

/** The system server, open or not. Disposing it closes it. */
export interface SystemServer extends AsyncDisposable {
  /** Where it listens, if it is open. */
  readonly address: string | null;
  /** Model files it serves. */
  readonly artifacts: Artifacts;
  /**
   * The address that frontends fetch model files from, such as `http://10.0.0.7:8081`; `null` if it is off. When no
   * port was set and there is no other way to get at the files, it opens on a free one.
   */
  origin(hasLocalPaths: boolean): Promise<string | null>;
}

/** Opens the server if a port is set. */
export async function openSystemServer(parts: SystemServerParts): Promise<SystemServer> {
  const { platform, options, log, metrics, lifecycle, engine, discovery, name } = parts;
  const { net, clock, process } = platform;
  const startedAt = clock.now();
  const artifacts = new Artifacts();
  const uptimeMs = () => clock.now() - startedAt;
  const endpoints = () => endpointHealth(lifecycle, name);
  const app = createStatusApp({
    health: () => ({ ready: lifecycle.isReady, uptimeMs: uptimeMs(), endpoints: endpoints() }),
    metrics,
    artifacts,
    engine,
    metadata: () => discovery.metadata?.() ?? null,
    log,
    healthPath: options.systemHealthPath,
    livePath: options.systemLivePath,
  });
  let server: HttpServer | null = null;

  // Nobody outside this process can find a worker on mem discovery, so its files need no address of the network.
  const isPrivate = options.discoveryBackend === "mem" && (process.env.DYN_SYSTEM_HOST ?? "") === "";
  const host = resolveListenHost(isPrivate ? "127.0.0.1" : options.systemHost, "DYN_SYSTEM_HOST", net.interfaces());
  const open = async (port: number): Promise<HttpServer> => {
    try {
      const watched = { platform, options, log, lifecycle, endpoints, uptimeMs };
      const opened = await serveWatched(watched, { host: host.bind, port }, (request) => app.fetch(request));
      log.info("System server listening", { address: formatAddress(host.advertise, opened.address.port) });
      return opened;
    } catch (cause) {
      const where = formatAddress(host.bind, port);
      throw new Error(`Cannot open the system server on ${where}: ${listenFault(cause)} (DYN_SYSTEM_PORT)`, { cause });
    }
  };
  const isSet = options.systemPort !== undefined;
  if (isSet && options.systemPort >= 0) server = await open(options.systemPort);

  return {
    artifacts,
    get address(): string | null {
      return server === null ? null : formatAddress(host.advertise, server.address.port);
    },
    async origin(hasLocalPaths: boolean): Promise<string | null> {
      if (!isSet && !hasLocalPaths) server ??= await open(0);
      return server === null ? null : `http://${formatAddress(host.advertise, server.address.port)}`;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await server?.[Symbol.asyncDispose]();
      server = null;
    },
  };
}

function endpointHealth(lifecycle: Lifecycle, name: EndpointName): Record<string, "ready" | "notready"> {
  if (lifecycle.state === "init" || lifecycle.state === "starting") return {};
  return { [name.endpoint]: lifecycle.isReady ? "ready" : "notready" };
}
