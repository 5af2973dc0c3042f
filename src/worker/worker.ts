/**
 * The spine: start pushes, stop pops.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import { type Log, targetLog } from "../observe/log.ts";
import { createMetrics, type LifecycleMetrics } from "../observe/metrics.ts";
import type { Platform } from "../platform/platform.ts";
import { createEngineClock } from "../pipeline/engine_clock.ts";
import { createAccept } from "../pipeline/handle.ts";
import { PrologueHold } from "../pipeline/prologue_hold.ts";
import { DynamoError } from "../protocol/error.ts";
import { type EndpointName, endpointPath } from "../protocol/record.ts";
import { WorkerAdmin } from "./admin.ts";
import { createMemStore, type MemStore, openPlanes } from "./backends.ts";
import { openCard } from "./card.ts";
import { checkControls } from "./controls.ts";
import { Departure } from "./departure.ts";
import { drainEngine } from "./drain.ts";
import { UsageError } from "./command_line.ts";
import { readSetPayload } from "./canary_payload.ts";
import { openCanary } from "./health_check.ts";
import { startEngine } from "./engine_start.ts";
import { openEvents } from "./events.ts";
import { Lifecycle } from "./lifecycle.ts";
import { createAdmission } from "./limits.ts";
import { bridgeMetrics } from "./metrics_sources.ts";
import { openLog } from "./open_log.ts";
import type { ResolvedWorkerOptions } from "./options.ts";
import { deviceType, register } from "./registration.ts";
import { requestParts } from "./request_parts.ts";
import { aborted, ShutdownBudget } from "./shutdown.ts";
import { openSystemServer } from "./system_server.ts";
import { VERSION } from "./version.ts";

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
  /** Whether it is the first worker of the process. @default true */
  readonly isFirst?: boolean;
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
  readonly #isFirst: boolean;
  readonly #lifecycle: Lifecycle;
  readonly #budget: ShutdownBudget;
  readonly #stop = new AbortController();
  #begin!: () => void;
  #fault: { readonly error: DynamoError; readonly isServing: boolean; readonly isTrusted: boolean } | null = null;
  #isReady!: (info: WorkerInfo) => void;

  /** Prepares a worker; nothing is opened before {@linkcode begin}. */
  constructor(engine: Engine, { platform, options, log, memStore, isFirst = true }: WorkerParts) {
    this.#engine = engine;
    this.#isFirst = isFirst;
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

  /**
   * Ends the worker because something failed that nobody caught. What the engine holds cannot be trusted any more, so
   * requests do not finish: they end with an error that frontends answer by sending them to another worker.
   */
  fail(error: unknown): void {
    this.#log.error("The process failed", { error, state: this.#lifecycle.state });
    this.#blame(DynamoError.from(error), false);
    this.#budget.hurry();
    if (!this.#stop.signal.aborted) this.stop();
  }

  /** Ends the worker in order, requests first, because no frontend can find it any more. */
  #lost(error: DynamoError): void {
    if (this.#stop.signal.aborted) return;
    this.#log.error(`${error.message}; shutting down`);
    this.#blame(error, true);
    this.stop();
  }

  /** Remembers why the worker ends, and whether what the engine holds can be trusted; a failure of the process outweighs. */
  #blame(error: DynamoError, isTrusted: boolean): void {
    if (this.#fault !== null && !this.#fault.isTrusted) return;
    this.#fault = { error, isServing: this.#lifecycle.hasBeenReady, isTrusted };
  }

  #outcome(error: DynamoError | null): WorkerOutcome {
    this.#lifecycle.move("stopped");
    if (error !== null) return { exitCode: error.cause instanceof UsageError ? 2 : 1, error };
    if (this.#fault !== null) return { exitCode: this.#fault.isServing ? 4 : 1, error: this.#fault.error };
    return { exitCode: this.#budget.wasCut ? 3 : 0, error: null };
  }

  async #live(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await using undo = new AsyncDisposableStack();
    try {
      await this.#serve(undo);
    } catch (error) {
      this.#lifecycle.move("start_failed");
      throw error;
    }
  }

  /** Reads top to bottom on the way up; the numbers are the order on the way down. */
  async #serve(undo: AsyncDisposableStack): Promise<void> {
    const { clock, files } = this.#platform;
    const [options, log, lifecycle, budget, engine] = [
      this.#options,
      this.#log,
      this.#lifecycle,
      this.#budget,
      this.#engine,
    ];
    const stop = this.#stop.signal;
    const name = { namespace: options.namespace, component: options.component, endpoint: options.endpoint };
    checkControls(engine);
    lifecycle.move("starting");

    const [memStore, isFirst] = [this.#memStore, this.#isFirst];
    const lost = (error: DynamoError) => this.#lost(error);
    const backends = { platform: this.#platform, options, log: this.#rootLog, memStore, isFirst };
    const opening = openPlanes({ ...backends, stop, lost });
    const planes = await connect(opening).catch((error) => stop.aborted ? null : Promise.reject(error));
    if (planes === null) return lifecycle.move("stopping");
    undo.defer(async () => { //                                                                 7. card, then sockets
      log.info("Phase 3: Leaving discovery and closing connections");
      await budget.run("records", () => planes[Symbol.asyncDispose]());
    });
    const { instanceId } = planes.discovery;
    const build = { version: VERSION.stator, runtime: this.#platform.runtime };
    const metrics = createMetrics({ instanceId, now: () => clock.now(), build });
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
          discovery: planes.discovery,
          name,
        }),
      ),
    );

    let gauges: LifecycleMetrics | null = null;
    undo.defer(async () => { //                                                                 6. owed even if start fails
      const startedAt = clock.now();
      const isComplete = await budget.run("cleanup", () => engine.cleanup());
      gauges?.cleanupTime((clock.now() - startedAt) / 1000);
      if (isComplete) log.info("Engine cleanup complete");
    });
    const setPayload = await readSetPayload(options, files, log);
    const startedAt = clock.now();
    const engineClock = createEngineClock(clock);
    const engineLog = targetLog(this.#rootLog, "stator::engine");
    const config = await startEngine({ engine, instanceId, stop, budget, clock, engineClock, engineLog, log });
    const loadedMs = clock.now() - startedAt;
    if (config === null || stop.aborted) return lifecycle.move("stopping"); //                  a signal during start
    const card = await openCard(name, config, options, system, files);
    const model = { model: config.model, modelName: card.display_name };
    gauges = metrics.lifecycle(name, model);
    gauges.modelLoadTime(loadedMs / 1000);
    const metricsLog = targetLog(this.#rootLog, "stator::metrics");
    bridgeMetrics(engine, { metrics, instanceId, name, model, clock, log: metricsLog });

    const role = card.worker_type ?? "aggregated";
    const device = deviceType(this.#platform.process.env);
    const wire = { codec: options.requestPlaneCodec, deviceType: device };
    const kvLog = targetLog(this.#rootLog, "stator::kv");
    const about = { platform: this.#platform, engine, config, options, planes, metrics, name, role, model, clock };
    const events = await connect(openEvents({ ...about, ...wire, log: kvLog }));
    undo.defer(async () => void await budget.run("drain", () => events[Symbol.asyncDispose]()));
    undo.defer(async () => { //                                                                 5. background work ends
      if (this.#fault?.isTrusted === false) return;
      const drainedAt = clock.now();
      await budget.run("drain", (signal) => drainEngine(engine, role, signal, { clock, log, ...options }));
      gauges?.drainTime((clock.now() - drainedAt) / 1000);
    });
    const canaryLog = targetLog(this.#rootLog, "stator::canary");
    const canary = openCanary({ options, setPayload, engine, role, clock, engineClock, engineLog, log: canaryLog });
    undo.defer(async () => void await budget.run("in_flight", () => canary?.stop())); //        a probe is no request, but a stream
    const hold = new PrologueHold(clock);
    const admission = createAdmission(options, metrics, clock);
    admin.mount({ model: card.display_name, load: () => ({ ...admission.load, oldestAt: admission.oldestAt }) });
    undo.defer(async () => void await budget.run("in_flight", () => admin.settled())); //       a call of an operator's is no request, but in the engine
    const departure = new Departure({ clock, log, budget, admission, hold });
    const pipelineLog = targetLog(this.#rootLog, "stator::pipeline");
    const serving = { engine, options, planes, admission, hold, metrics, name, role, clock, engineClock, engineLog };
    const parts = requestParts({ ...serving, begun: events.begun, log: pipelineLog });
    const served = canary === null ? {} : { served: () => canary.active() };
    const accept = createAccept({ ...parts, ...served });
    const endpoint = undo.use(await connect(planes.requests.serve(name, instanceId, accept)));
    undo.defer(() => departure.endRequests()); //                                          4. no request is left
    undo.defer(() => budget.grace()); //                                                        3. still serving
    const { transport } = endpoint;
    const registration = await connect(register(planes.discovery, { name, card, transport, ...wire }, log));
    undo.defer(async () => void await budget.run("records", () => registration.retire())); //                  2. no more are routed here
    undo.defer(async () => { //                                                                 1. not ready
      budget.begin();
      lifecycle.move("stopping");
      void canary?.stop();
      log.info("Readiness withdrawn", { in_flight: admission.load.active + admission.load.queued });
      await departure.sendPrologues();
    });
    lifecycle.require(() => admin.isReady && (canary?.isReady ?? true));
    lifecycle.move("ready");
    admin.open({
      registration,
      leaving: () => departure.sendPrologues(),
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
