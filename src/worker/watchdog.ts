/**
 * The system server behind a thread that goes on when the event loop is blocked.
 *
 * @module
 */
import { MAX_BODY_BYTES } from "../observe/engine_routes.ts";
import { type Log, targetLog } from "../observe/log.ts";
import { slashed } from "../observe/status_server.ts";
import type { HttpServer, Platform, SocketAddress, WatchdogThread, WatchedState } from "../platform/platform.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { openLog } from "./open_log.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

/** What {@linkcode serveWatched} works with. */
export interface WatchedParts {
  /** The world. */
  readonly platform: Platform;
  /** Settings. */
  readonly options: ResolvedWorkerOptions;
  /** Log. */
  readonly log: Log;
  /** What says whether the worker is ready, and when that changed. */
  readonly lifecycle: Lifecycle;
  /** State of each endpoint by name. */
  readonly endpoints: () => WatchedState["endpoints"];
  /** Age of the worker. @unit milliseconds */
  readonly uptimeMs: () => number;
}

/** Where the server of the event loop listens: only the thread calls it. */
const PRIVATE: SocketAddress = { host: "127.0.0.1", port: 0 };
/** How long requests wait for a blocked event loop. @unit milliseconds */
const PATIENCE_MS = 5000;
/** The worker failed while serving. */
const EXIT_CODE = 4;

/**
 * Serves on an address, through a watchdog thread if there is one to be had. The thread owns the address: it answers the
 * liveness path itself and passes everything else on to a server on a port of this machine only.
 *
 * @throws If the address cannot be listened on; the error is that of the platform.
 */
export async function serveWatched(
  parts: WatchedParts,
  address: SocketAddress,
  handler: (request: Request) => Response | Promise<Response>,
): Promise<HttpServer> {
  const { platform, options, log, lifecycle } = parts;
  const { http } = platform;
  const thread = await startThread(parts);
  if (thread === null) return await http.serve(address, handler);
  await using undo = new AsyncDisposableStack();
  const backend = undo.use(await http.serve(PRIVATE, handler));
  undo.use(thread);
  let instead: Promise<HttpServer | null> | null = null;
  const bound = await thread.serve({
    address,
    backend: backend.address,
    maxBodyBytes: MAX_BODY_BYTES,
    livePath: slashed(options.systemLivePath),
    healthPath: slashed(options.systemHealthPath),
    limitMs: 1000 * options.livenessLimitSeconds,
    patienceMs: PATIENCE_MS,
    exitMs: 1000 * options.blockedExitSeconds,
    exitCode: EXIT_CODE,
    lastWords: lastWords(parts),
    uptimeMs: parts.uptimeMs(),
    // A model may block the event loop for as long as it takes to load; nobody sends such a worker anything.
    state: () => ({ ready: lifecycle.isReady, endpoints: parts.endpoints(), counts: lifecycle.hasBeenReady }),
    lost: (error) => {
      log.error("The watchdog thread is gone; serving without it", { error });
      instead ??= http.serve(bound, handler).catch((fault) => {
        log.error("Cannot open the system server again", { error: fault });
        return null;
      });
    },
  });
  lifecycle.onMove(() => thread.refresh());
  undo.defer(async () => void await (await instead)?.[Symbol.asyncDispose]());
  const opened = undo.move();
  return { address: bound, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function startThread({ platform, options, log }: WatchedParts): Promise<WatchdogThread | null> {
  if (platform.watchdog === undefined || options.livenessLimitSeconds === 0) return null;
  try {
    return await platform.watchdog.start();
  } catch (error) {
    log.warn("Cannot start a watchdog thread, so a blocked event loop will go unnoticed", { error });
    return null;
  }
}

/** The thread's last line in the format of the log, with the beginning of time as its time; empty if it is not shown. */
function lastWords({ platform, options }: WatchedParts): string {
  let line = "";
  const clock = { ...platform.clock, wallTime: () => 0 };
  const process = { ...platform.process, printError: (text: string) => void (line = text) };
  const log = openLog({ ...platform, clock, process }, { ...options, logLocalTime: false });
  line = "";
  const message = `The event loop has been blocked for ${options.blockedExitSeconds} s; ending the process`;
  targetLog(log, "stator::watchdog").error(message, { exit_code: EXIT_CODE });
  return line;
}
