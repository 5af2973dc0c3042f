/**
 * The spine: start pushes, stop pops.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import type { Engine, EngineConfig } from "../engine/engine.ts";
import { createLog, type Log, parseLogFormat, targetLog } from "../observe/log.ts";
import { createMetrics, type LifecycleMetrics, type Metrics } from "../observe/metrics.ts";
import { type Clock, delay, type Platform } from "../platform/platform.ts";
import type { Admission } from "../pipeline/admission.ts";
import { createEngineClock } from "../pipeline/engine_clock.ts";
import { runEngine } from "../pipeline/generate.ts";
import { createAccept, type Parts } from "../pipeline/handle.ts";
import { PrologueHold } from "../pipeline/prologue_hold.ts";
import { TimedAdmission } from "../pipeline/timed_admission.ts";
import { DynamoError } from "../protocol/error.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import { type EndpointName, endpointPath } from "../protocol/record.ts";
import { WorkerAdmin } from "./admin.ts";
import { createMemStore, type MemStore, openPlanes, type Planes } from "./backends.ts";
import { openCard } from "./card.ts";
import { checkControls } from "./controls.ts";
import { drainEngine } from "./drain.ts";
import { UsageError } from "./command_line.ts";
import { readSetPayload } from "./canary_payload.ts";
import { openCanary } from "./health_check.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { ResolvedWorkerOptions } from "./options.ts";
import { deviceType, register } from "./registration.ts";
import { ShutdownBudget } from "./shutdown.ts";
import { openSystemServer } from "./system_server.ts";

export type { Log } from "../observe/log.ts";

/** What a running worker tells about itself. */
export interface WorkerInfo {
  /** Identity in discovery. */
  readonly instanceId: bigint;
  /** The serving endpoint. */
  readonly endpoint: EndpointName;
  /** Name clients use. */
  readonly modelName: string;
  /** Address of the system server, if it is open. */
  readonly systemAddress: string | null;
}

/** How a worker ended. */
export interface WorkerOutcome {
  /** 0 clean, 1 start failure, 3 forced by the deadline or a second signal, 4 failed while serving. */
  readonly exitCode: number;
  /** What went wrong, if anything did. */
  readonly error: DynamoError | null;
}

/** The surroundings of a worker. */
export interface WorkerParts {
  /** The world. */
  readonly platform: Platform;
  /** Complete settings. */
  readonly options: ResolvedWorkerOptions;
  /** Log; made of the options when left out. */
  readonly log?: Log;
  /** Store of `mem` discovery, to be shared with other parties of the process. */
  readonly memStore?: MemStore;
}

/** Longest wait for requests that are calling home when the worker is to stop. @unit milliseconds */
const PROLOGUE_SEND_MS = 500;
/** Time for frontends to read the prologues sent last. @unit milliseconds */
const PROLOGUE_READ_MS = 50;

/** What a serving endpoint is made of. */
interface ServingParts {
  readonly planes: Planes;
  readonly admission: Admission;
  readonly hold: PrologueHold;
  readonly metrics: Metrics;
  readonly name: EndpointName;
  readonly role: WorkerType;
  readonly engineClock: EngineClock;
}

/** One worker's one life: started once, stopped once. */
export class WorkerLife {
  /** Resolves when requests are served, rejects if it never comes to that. */
  readonly ready: Promise<WorkerInfo>;
  /** Resolves when everything is undone. */
  readonly finished: Promise<WorkerOutcome>;
  readonly #platform: Platform;
  readonly #options: ResolvedWorkerOptions;
  /** For parts, which have targets of their own. */
  readonly #rootLog: Log;
  readonly #log: Log;
  readonly #memStore: MemStore;
  readonly #engine: Engine;
  readonly #lifecycle: Lifecycle;
  readonly #budget: ShutdownBudget;
  readonly #stop = new AbortController();
  #begin!: () => void;
  #fault: DynamoError | null = null;
  #isReady!: (info: WorkerInfo) => void;

  /** Prepares a worker; nothing is opened before {@linkcode begin}. */
  constructor(engine: Engine, { platform, options, log, memStore }: WorkerParts) {
    this.#engine = engine;
    this.#platform = platform;
    this.#options = options;
    this.#memStore = memStore ?? createMemStore();
    this.#rootLog = log ?? openLog(platform, options);
    this.#log = targetLog(this.#rootLog, "stator::worker");
    this.#lifecycle = new Lifecycle(this.#log);
    const { shutdownTimeoutSeconds: timeoutSeconds, graceSeconds } = options;
    this.#budget = new ShutdownBudget({ clock: platform.clock, log: this.#log, timeoutSeconds, graceSeconds });
    const begun = new Promise<void>((resolve) => this.#begin = resolve);
    const live = begun.then(() => this.#live());
    const ready = new Promise<WorkerInfo>((resolve) => this.#isReady = resolve);
    this.finished = live.then(() => null, DynamoError.from).then((error) => this.#outcome(error));
    this.ready = Promise.race([ready, this.finished.then(({ error }) => Promise.reject(error ?? stoppedEarly()))]);
    this.ready.catch(() => {});
  }

  /** Opens, starts, registers and serves. */
  begin(): void {
    this.#begin();
  }

  /** Whether the worker wants requests. */
  get isReady(): boolean {
    return this.#lifecycle.isReady;
  }

  /** Ends the worker in order. A second call skips to the forced stage; `cleanup` still runs. */
  stop(): void {
    if (this.#stop.signal.aborted) return this.#budget.force();
    this.#budget.begin();
    this.#stop.abort();
    this.begin();
  }

  /** Ends the worker in order because something failed that nobody caught. */
  fail(error: unknown): void {
    this.#log.error("The process failed while serving", { error });
    this.#fault ??= DynamoError.from(error);
    if (!this.#stop.signal.aborted) this.stop();
  }

  #outcome(error: DynamoError | null): WorkerOutcome {
    this.#lifecycle.move("stopped");
    if (error !== null) return { exitCode: error.cause instanceof UsageError ? 2 : 1, error };
    if (this.#fault !== null) return { exitCode: 4, error: this.#fault };
    return { exitCode: this.#budget.wasCut ? 3 : 0, error: null };
  }

  /** Reads top to bottom on the way up; the numbers are the order on the way down. */
  async #live(): Promise<void> {
    const { clock, files } = this.#platform;
    const [options, log, lifecycle, budget, engine] = [
      this.#options,
      this.#log,
      this.#lifecycle,
      this.#budget,
      this.#engine,
    ];
    const stop = this.#stop.signal;
    if (stop.aborted) return;
    const name = { namespace: options.namespace, component: options.component, endpoint: options.endpoint };
    checkControls(engine);
    lifecycle.move("starting");

    await using undo = new AsyncDisposableStack();
    const memStore = this.#memStore;
    const planes = await connect(openPlanes({ platform: this.#platform, options, log: this.#rootLog, memStore }));
    undo.defer(async () => void await budget.run("records", () => planes[Symbol.asyncDispose]())); //           7. card, then sockets
    const metrics = createMetrics({ instanceId: planes.discovery.instanceId, now: () => clock.now() });
    const { instanceId } = planes.discovery;
    const { graceSeconds } = options;
    const admin = new WorkerAdmin({ engine, lifecycle, clock, log, stop, instanceId, name, graceSeconds });
    const systemLog = targetLog(this.#rootLog, "stator::system_server");
    const system = undo.use(
      await connect(
        openSystemServer({
          platform: this.#platform,
          options,
          log: systemLog,
          metrics,
          lifecycle,
          engine: admin,
          name,
        }),
      ),
    );

    let gauges: LifecycleMetrics | null = null;
    undo.defer(async () => { //                                                                 6. owed even if start fails
      const startedAt = clock.now();
      await budget.run("cleanup", () => engine.cleanup());
      gauges?.cleanupTime((clock.now() - startedAt) / 1000);
      log.info("Engine cleanup complete");
    });
    const setPayload = await readSetPayload(options, files, log);
    const startedAt = clock.now();
    const config = await this.#start(planes.discovery.instanceId);
    if (config === null || stop.aborted) return; //                                             a signal during start
    const card = await openCard(name, config, options, system, files);
    gauges = metrics.lifecycle(name, card.display_name);
    gauges.modelLoadTime((clock.now() - startedAt) / 1000);

    const role = card.worker_type ?? "aggregated";
    undo.defer(async () => { //                                                                 5. background work ends
      const drainedAt = clock.now();
      await budget.run("drain", (signal) => drainEngine(engine, role, signal, { clock, log, ...options }));
      gauges?.drainTime((clock.now() - drainedAt) / 1000);
    });
    const engineClock = createEngineClock(clock);
    const canaryLog = targetLog(this.#rootLog, "stator::canary");
    const canary = openCanary({ options, setPayload, engine, role, clock, engineClock, log: canaryLog });
    undo.defer(async () => void await budget.run("in_flight", () => canary?.stop())); //        a probe is no request, but a stream
    const hold = new PrologueHold(clock);
    const admission = createAdmission(options, metrics, clock);
    admin.mount({ model: card.display_name, load: () => ({ ...admission.load, oldestAt: admission.oldestAt }) });
    undo.defer(async () => void await budget.run("in_flight", () => admin.settled())); //       a call of an operator's is no request, but in the engine
    const parts = this.#parts({ planes, admission, hold, metrics, name, role, engineClock });
    const served = canary === null ? {} : { served: () => canary.active() };
    const endpoint = undo.use(
      planes.requests.serve(name, planes.discovery.instanceId, createAccept({ ...parts, ...served })),
    );
    undo.defer(() => this.#endRequests(admission)); //                                          4. no request is left
    undo.defer(() => budget.grace()); //                                                        3. still serving
    const { transport } = endpoint;
    const registered = {
      name,
      card,
      transport,
      codec: options.requestPlaneCodec,
      deviceType: deviceType(this.#platform.process.env),
    };
    const registration = await connect(register(planes.discovery, registered, log));
    undo.defer(async () => void await budget.run("records", () => registration.retire())); //                  2. no more are routed here
    undo.defer(async () => { //                                                                 1. not ready
      budget.begin();
      lifecycle.move("stopping");
      void canary?.stop();
      log.info("Readiness withdrawn", { in_flight: admission.load.active + admission.load.queued });
      await this.#sendPrologues(hold, admission);
    });
    lifecycle.require(() => admin.isReady && (canary?.isReady ?? true));
    lifecycle.move("ready");
    admin.open({
      registration,
      leaving: () => this.#sendPrologues(hold, admission),
      returned: () => stop.aborted || hold.rearm(),
      changed: (absence, isThere) => absence === "asleep" && (isThere ? canary?.pause() : canary?.resume()),
    });
    canary?.start();
    log.info(`Serving ${card.display_name} on ${endpointPath(name).replaceAll("/", ".")}`);
    this.#isReady({
      instanceId: planes.discovery.instanceId,
      endpoint: name,
      modelName: card.display_name,
      systemAddress: system.address,
    });
    await aborted(stop);
  }

  /** Starts the engine; `null` if it gave up because the worker is to stop, or did not end in time. */
  async #start(instanceId: bigint): Promise<EngineConfig | null> {
    const { signal } = this.#stop;
    const started = Promise.resolve().then(() => this.#engine.start(instanceId, signal));
    // Only a signal starts the deadline: until then a model may load for as long as it takes.
    const late = aborted(signal).then(() => this.#budget.run("start", () => started)).then(() => null);
    try {
      const config = await Promise.race([started, late]);
      if (config !== null && (typeof config.model !== "string" || config.model === "")) {
        throw new DynamoError("InvalidArgument", "engine.start() returned no model name");
      }
      return config;
    } catch (error) {
      if (signal.aborted) return null;
      throw error instanceof DynamoError
        ? error
        : new DynamoError("EngineShutdown", `engine.start() failed: ${describeError(error)}`, { cause: error });
    }
  }

  #parts({ planes, admission, hold, metrics, name, role, engineClock }: ServingParts): Parts {
    const endpointMetrics = metrics.endpoint(name);
    const { clock } = this.#platform;
    const engine = this.#engine;
    const log = targetLog(this.#rootLog, "stator::pipeline");
    return {
      admission,
      hold,
      clock,
      log,
      responses: planes.responses,
      run: runEngine(engine, { mode: this.#options.validate, role }, endpointMetrics, log),
      abort: (request) => {
        if (engine.abort === undefined) return;
        const told = Promise.resolve().then(() => engine.abort?.(request));
        told.catch((error) => log.warn("engine.abort() failed", { error }, request));
      },
      engineClock,
      workerMetrics: metrics,
      metrics: endpointMetrics,
    };
  }

  /** Frontends kill requests whose prologue they have not read when the record goes, so these go first. */
  async #sendPrologues(hold: PrologueHold, admission: Admission): Promise<void> {
    hold.release();
    if (admission.load.active === 0) return;
    const { clock } = this.#platform;
    const settled = new AbortController();
    hold.settled().then(() => settled.abort());
    await delay(clock, PROLOGUE_SEND_MS, settled.signal);
    await delay(clock, PROLOGUE_READ_MS);
  }

  /** Refuses new requests and lets those inside finish; what is left when time is up ends with a migratable error. */
  async #endRequests(admission: Admission): Promise<void> {
    admission.close();
    const ended = await this.#budget.run("in_flight", () => admission.idle());
    if (ended) return;
    const { active, queued } = admission.load;
    this.#log.warn("Requests did not finish in time; ending them", { active, queued });
    admission.expire(new DynamoError("EngineShutdown", "the worker is shutting down"));
    // An engine that ignores its aborts must leave cleanup some time.
    const idle = new AbortController();
    admission.idle().then(() => idle.abort());
    await delay(this.#platform.clock, this.#budget.remainingMs("cleanup") / 2, idle.signal);
  }
}

function createAdmission(options: ResolvedWorkerOptions, metrics: Metrics, clock: Clock): TimedAdmission {
  const { engineRequestLimit, requestQueueLimit, workerPoolSize, workQueueSize } = options;
  const admission = engineRequestLimit === undefined
    ? new TimedAdmission(workerPoolSize, workQueueSize, clock)
    : new TimedAdmission(engineRequestLimit, requestQueueLimit, clock);
  metrics.bindAdmission(() => {
    const { active, queued, capacity, queueCapacity } = admission.load;
    return { active, queued, capacity, queueCapacity, engineRequests: active, requestQueue: queued };
  });
  return admission;
}

/** Failures to open planes or to publish are failures to connect, unless they say otherwise. */
async function connect<T>(opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (cause) {
    throw cause instanceof DynamoError ? cause : new DynamoError("CannotConnect", describeError(cause), { cause });
  }
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function stoppedEarly(): DynamoError {
  return new DynamoError("EngineShutdown", "the worker was stopped before it was ready");
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The log that the options ask for, on standard error. */
export function openLog({ clock, process }: Platform, options: ResolvedWorkerOptions): Log {
  const { logFilter, logFormat, logJsonl, logLocalTime, logPlain } = options;
  const format = parseLogFormat(logFormat ?? (logJsonl ? "jsonl" : "readable"));
  const log = createLog({
    filter: logFilter,
    format: format ?? "readable",
    isColored: process.isErrorTerminal === true && logPlain !== true,
    target: "stator",
    wallTime: () => clock.wallTime(),
    ...(logLocalTime ? { utcOffset: (time: number) => -new Date(time).getTimezoneOffset() } : {}),
    write: (line) => process.printError(line),
  });
  // A log that looks different is no reason not to serve, to Dynamo's workers neither.
  if (format === null) log.warn("DYN_LOGGING_CONSOLE_FORMAT is neither readable nor jsonl", { value: logFormat });
  if ((process.env.DYN_LOGGING_CONFIG_PATH ?? "") !== "") {
    log.warn("DYN_LOGGING_CONFIG_PATH is set, but this worker reads no logging configuration: use DYN_LOG");
  }
  return log;
}
