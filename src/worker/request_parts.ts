/**
 * What the requests of a serving endpoint meet, put together.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import type { Engine } from "../engine/engine.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { openTracing } from "../observe/trace.ts";
import type { ActiveRequest } from "../pipeline/active_request.ts";
import type { Admission } from "../pipeline/admission.ts";
import { type Begun, runEngine } from "../pipeline/generate.ts";
import type { Parts } from "../pipeline/handle.ts";
import type { PrologueHold } from "../pipeline/prologue_hold.ts";
import { traceRequests } from "../pipeline/request_trace.ts";
import type { Clock } from "../platform/platform.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import type { EndpointName } from "../protocol/record.ts";
import type { Planes } from "./backends.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

/** What a serving endpoint is made of. */
export interface ServingParts {
  /** The engine. */
  readonly engine: Engine;
  /** Complete settings. */
  readonly options: ResolvedWorkerOptions;
  /** The ways in and out. */
  readonly planes: Planes;
  /** Places. */
  readonly admission: Admission;
  /** How long a prologue may wait. */
  readonly hold: PrologueHold;
  /** Metrics of the worker. */
  readonly metrics: Metrics;
  /** The endpoint. */
  readonly name: EndpointName;
  /** The worker's part in serving. */
  readonly role: WorkerType;
  /** Time. */
  readonly clock: Clock;
  /** Time for engines. */
  readonly engineClock: EngineClock;
  /** Log of the engine. */
  readonly engineLog: Log;
  /** Log. */
  readonly log: Log;
  /** Told of each request when it runs. */
  readonly begun: Begun | null;
}

/** Puts together what requests meet on their way. */
export function requestParts(serving: ServingParts): Parts {
  const { engine, options, planes, admission, hold, metrics, name, role, clock, log } = serving;
  const endpointMetrics = metrics.endpoint(name);
  const begun = serving.begun === null ? {} : { begun: serving.begun };
  return {
    admission,
    hold,
    clock,
    log,
    responses: planes.responses,
    run: runEngine(engine, { mode: options.validate, role, clock, metrics: endpointMetrics, log, ...begun }),
    abort: abortOf(engine, role, log),
    deadlineMs: 1000 * options.engineDeadlineSeconds,
    engineClock: serving.engineClock,
    engineLog: serving.engineLog,
    workerMetrics: metrics,
    metrics: endpointMetrics,
    ...tracingOf(serving),
  };
}

/** Finds out once whether requests are traced, so that nothing else has to. */
function tracingOf({ name, planes, clock }: ServingParts): Pick<Parts, "beginTrace"> {
  const tracing = openTracing();
  if (tracing === null) return {};
  const { instanceId } = planes.discovery;
  return { beginTrace: traceRequests({ tracing, name, instanceId, now: () => clock.now() }) };
}

/**
 * How an engine is told of an abort. On a decode worker it waits for the first token, and never comes if the stream ends
 * before: the prefill side may still be writing to the blocks that `abort` would free.
 *
 * @source dynamo-backend-common 1.6.1, `adapter.rs`, deferred abort
 */
function abortOf(engine: Engine, role: WorkerType, log: Log): (request: ActiveRequest) => void {
  const tell = (request: ActiveRequest) => {
    const told = Promise.resolve().then(() => engine.abort?.(request));
    told.catch((error) => log.warn("engine.abort() failed", { error }, request));
  };
  if (engine.abort === undefined) return () => {};
  return role === "decode" ? (request) => request.onFirstToken(() => tell(request)) : tell;
}
