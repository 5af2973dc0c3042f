/**
 * The front door: command line and environment in, exit code out.
 *
 * @module
 */
import type { Engine, EngineModule } from "./engine/engine.ts";
import type { OptionValues } from "./engine/option.ts";
import type { Platform } from "./platform/platform.ts";
import { realPlatform } from "./platform/real.ts";
import { runtimeFault } from "./platform/runtime.ts";
import { type BackendParts, connectNats, createMemStore, type MemStore, openDiscovery } from "./worker/backends.ts";
import { readSetPayload } from "./worker/canary_payload.ts";
import {
  deprecations,
  engineDefaults,
  formatHelp,
  parseFlags,
  reportFailure,
  resolveRows,
  UsageError,
} from "./worker/command_line.ts";
import { Fleet } from "./worker/fleet.ts";
import { WORKER_OPTIONS } from "./worker/option_rows.ts";
import type { ResolvedWorkerOptions, WorkerOptions } from "./worker/options.ts";
import { resolveOptions } from "./worker/resolve_options.ts";
import { SILENT, targetLog } from "./observe/log.ts";
import { openLog } from "./worker/open_log.ts";
import { formatVersion } from "./worker/version.ts";
import { type Log, type WorkerInfo, WorkerLife, type WorkerOutcome } from "./worker/worker.ts";

/** A worker that is driven by code rather than by signals. */
export interface Worker {
  /** Starts; resolves when requests are served. @throws {DynamoError} If it never comes to that; `cleanup` then has run. */
  start(): Promise<WorkerInfo>;
  /** Ends in order: requests finish first. A second call skips to the forced stage. Resolves when all is undone. */
  stop(): Promise<WorkerOutcome>;
  /** Resolves when the worker has ended, however it came to that. */
  readonly finished: Promise<WorkerOutcome>;
}

/**
 * Makes a worker without a command line, signals or a gateway. The environment still counts, below `options`.
 *
 * @throws {UsageError} If an option cannot be used, or the runtime is none that this package runs on.
 */
export function createWorker(engine: Engine, options: WorkerOptions = {}): Worker {
  return createWorkerOn(realPlatform, engine, options);
}

/** {@linkcode createWorker} on another platform, and on a store that other parties of the process share. */
export function createWorkerOn(
  platform: Platform,
  engine: Engine,
  options: WorkerOptions,
  memStore: MemStore = createMemStore(),
  log?: Log,
): Worker {
  const fault = runtimeFault(platform.runtime);
  if (fault !== null) throw new UsageError(fault);
  const resolved = resolveOptions(options as OptionValues, platform.process.env);
  // Ending a process is for its owner, who is somebody else here.
  const { watchdog: _watchdog, ...embedded } = platform;
  const given = log === undefined ? {} : { log };
  const life = new WorkerLife(engine, { platform: embedded, options: resolved, memStore, ...given });
  return {
    start(): Promise<WorkerInfo> {
      life.begin();
      return life.ready;
    },
    stop(): Promise<WorkerOutcome> {
      life.stop();
      return life.finished;
    },
    finished: life.finished,
  };
}

/** An engine and its settings, made of a command line. */
export interface WorkerArgs {
  /** The engine, not started. */
  readonly engine: Engine;
  /** What the command line says, and what environment and engine say of the options that the engine has defaults for. */
  readonly options: WorkerOptions;
}

/**
 * Parses a command line for an engine with options of its own; starts nothing.
 *
 * @throws {UsageError} If an option is unknown or its value cannot be parsed.
 */
export async function parseWorkerArgs(argv: readonly string[], module: EngineModule): Promise<WorkerArgs> {
  return await parseWorkerArgsOn(realPlatform, argv, module);
}

/** {@linkcode parseWorkerArgs} with the environment of another platform. */
export async function parseWorkerArgsOn(
  { process: { env } }: Pick<Platform, "process">,
  argv: readonly string[],
  module: EngineModule,
): Promise<WorkerArgs> {
  const rows = [...WORKER_OPTIONS, ...module.options];
  const given = parseFlags(rows, argv);
  const defaults = engineDefaults(module, rows, given, env);
  const values = resolveRows(rows, given, env, defaults);
  // An engine's default must not beat the environment only because it arrives as code.
  const settled = Object.keys(defaults).map((key) => [key, values[key]] as const);
  const options: WorkerOptions = { ...Object.fromEntries(settled), ...given };
  return { engine: await module.create(values), options };
}

/** Settings of {@linkcode serve}. */
export interface ServeOptions extends WorkerOptions {
  /** Command line, without the program. @default the process's own */
  readonly argv?: readonly string[];
}

/**
 * Serves an engine until the process is told to stop, then exits with a code that says why: 0 clean, 1 it could not
 * start, 2 bad usage, 3 forced by the deadline or a second signal, 4 it failed while serving.
 *
 * SIGTERM and SIGINT end the worker in order: it leaves discovery, requests finish, the engine drains and cleans up.
 *
 * @param engine An engine, or a module whose options join the common ones.
 */
export async function serve(engine: Engine | EngineModule, options: ServeOptions = {}): Promise<void> {
  realPlatform.process.exit(await serveOn(realPlatform, engine, options));
}

/** {@linkcode serve} on a platform; resolves to the exit code. */
export async function serveOn(
  platform: Platform,
  engineOrModule: Engine | EngineModule,
  { argv, ...code }: ServeOptions,
): Promise<number> {
  const { process } = platform;
  const fault = runtimeFault(platform.runtime);
  if (fault !== null) {
    process.printError(fault);
    return 2;
  }
  try {
    const module = "generate" in engineOrModule ? moduleOf(engineOrModule) : engineOrModule;
    const rows = [...WORKER_OPTIONS, ...module.options];
    const words = argv ?? process.args;
    if (words.includes("--version")) {
      process.print(formatVersion(platform.runtime));
      return 0;
    }
    if (words.includes("--help") || words.includes("-h")) {
      process.print(formatHelp(rows, { ...engineDefaults(module, rows, code, process.env), ...code }));
      return 0;
    }
    const given = { ...code, ...parseFlags(rows, words) };
    const warnings = deprecations(rows, given);
    const defaults = engineDefaults(module, rows, given, process.env);
    const values = resolveRows(rows, given, process.env, defaults, (text) => warnings.push(text));
    const resolved = resolveOptions(given, process.env, defaults);
    const log = openLog(platform, resolved);
    // A payload that cannot be read is bad usage, and told before anything is opened.
    await readSetPayload(resolved, platform.files, SILENT);
    for (const text of [...warnings, ...adviceOn(resolved, process.env)]) log.warn(text);
    await using _otel = resolved.exportTraces ? await startExport(log) : null;
    return await live(platform, await createEngines(module, values, resolved), resolved, log);
  } catch (error) {
    return reportFailure(error, process.printError);
  }
}

/** An engine that is there already, which is one worker's. */
function moduleOf(engine: Engine): EngineModule {
  return {
    options: [],
    create(_values, { count } = { index: 0, count: 1 }) {
      if (count === 1) return engine;
      throw new UsageError(`--num-workers ${count}: this engine is one object; serve a module, which makes as many`);
    },
  };
}

/** One engine for each worker of the process. */
async function createEngines(
  module: EngineModule,
  values: OptionValues,
  { numWorkers: count }: ResolvedWorkerOptions,
): Promise<Engine[]> {
  const engines: Engine[] = [];
  for (let index = 0; index < count; index++) engines.push(await module.create(values, { index, count }));
  return engines;
}

/**
 * One life of the workers of a process, from its first step to its exit code. `memStore` is what other parties of the
 * process share.
 */
export async function live(
  platform: Platform,
  engines: readonly Engine[],
  options: ResolvedWorkerOptions,
  log: Log,
  memStore: MemStore = createMemStore(),
): Promise<number> {
  const { process } = platform;
  await using undo = new AsyncDisposableStack();
  const life = new Fleet(engines, { platform, options, log, memStore });
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    undo.use(process.onSignal(signal, () => {
      log.info(`${signal} received`);
      stop.abort();
      life.stop();
    }));
  }
  undo.use(process.onFault((error) => life.fail(error)));
  if (opensGateway(options)) {
    try {
      undo.use(await openGatewayFor({ platform, options, log, memStore, stop: stop.signal }, life));
    } catch (error) {
      if (stop.signal.aborted) return (await life.finished).exitCode;
      process.printError(error instanceof Error ? error.message : String(error));
      return 1;
    }
  }
  life.begin();
  const outcome = await life.finished;
  if (outcome.error !== null) process.printError(`${outcome.error.kind}: ${outcome.error.message}`);
  return outcome.exitCode;
}

function opensGateway(options: ResolvedWorkerOptions): boolean {
  return options.gateway ?? (options.discoveryBackend === "mem" || options.gatewayPort !== undefined);
}

const DEFAULT_GATEWAY_PORT = 8000;

/** Opens the gateway before the worker starts, so that a port in use is told at once, and says how to use it. */
async function openGatewayFor(parts: BackendParts, life: Fleet): Promise<AsyncDisposable> {
  const { platform, options, log } = parts;
  const { openGateway } = await import("./gateway/gateway.ts");
  await using undo = new AsyncDisposableStack();
  const discovery = undo.use(await openDiscovery(parts));
  const port = options.gatewayPort ?? DEFAULT_GATEWAY_PORT;
  // A request does not wait for a server to come; the worker does, at its start.
  const openNats = () => connectNats({ ...parts, options: { ...options, natsConnectTimeoutSeconds: 0 } });
  const gatewayLog = targetLog(log, "stator::gateway");
  const gateway = undo.use(
    await openGateway({ platform, discovery, host: options.gatewayHost, port, log: gatewayLog, client: { openNats } }),
  );
  const origin = `http://${gateway.address}`;
  life.ready.then(({ modelName }) => {
    const body = JSON.stringify({ model: modelName, messages: [{ role: "user", content: "Hello" }], stream: true });
    platform.process.print(`Gateway listening on ${origin}, serving ${modelName}. Try:`);
    platform.process.print(
      `  curl -N ${origin}/v1/chat/completions -H 'content-type: application/json' -d '${
        body.replaceAll("'", "'\\''")
      }'`,
    );
  }, () => {});
  const opened = undo.move();
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Loads the SDK, which nobody else needs; a worker that cannot export its traces serves all the same. */
async function startExport(log: Log): Promise<AsyncDisposable | null> {
  try {
    const { startOtel } = await import("./otel.ts");
    return startOtel({ warn: (message) => log.warn(message) });
  } catch (error) {
    log.warn("Traces are not exported", { error });
    return null;
  }
}

/** What an operator should know about these settings. */
function adviceOn(options: ResolvedWorkerOptions, env: Readonly<Record<string, string | undefined>>): string[] {
  const advice: string[] = [];
  if (options.discoveryBackend === "mem") {
    for (const name of ["ETCD_ENDPOINTS", "DYN_FILE_KV"]) {
      if ((env[name] ?? "") !== "") {
        advice.push(
          `${name} is set but discovery is mem, so no frontend will find this worker: set --discovery-backend`,
        );
      }
    }
  }
  const isSet = (name: string) => [name, name.toLowerCase()].some((each) => (env[each] ?? "") !== "");
  const proxy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].find(isSet);
  if (options.discoveryBackend === "etcd" && proxy !== undefined && !isSet("NO_PROXY")) {
    advice.push(`${proxy} is set, and counts for etcd as well: name etcd's hosts in NO_PROXY if it cannot reach them`);
  }
  if (Object.keys(env).some((name) => name.startsWith("DYN_TCP_TLS_") && env[name] !== "")) {
    advice.push("DYN_TCP_TLS_* is set, but this worker speaks plain TCP only");
  }
  return advice;
}
