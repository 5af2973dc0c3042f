/**
 * One request's whole way, from its frame to its last.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import type { Log } from "../observe/log.ts";
import type { EndpointMetrics, Metrics } from "../observe/metrics.ts";
import type { Clock } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { Accept } from "../request_plane/request_plane.ts";
import type { ResponsePlane } from "../response_plane/response_plane.ts";
import { ActiveRequest, type Ending } from "./active_request.ts";
import type { Admission, Permit } from "./admission.ts";
import { Answer } from "./answer.ts";
import { decodeBody, decodeEnvelope, type Envelope } from "./decode.ts";
import { isFailed, isLast, type ItemStream, type Run } from "./generate.ts";
import type { PrologueHold } from "./prologue_hold.ts";
import type { BeginTrace } from "./request_trace.ts";

/** What a request meets on its way. */
export interface Parts {
  /** Places. */
  readonly admission: Admission;
  /** The way back. */
  readonly responses: ResponsePlane;
  /** What answers the request. */
  readonly run: Run;
  /** Tells whoever works for the request that it is aborted; called at most once a request. */
  readonly abort: (request: ActiveRequest) => void;
  /** How long a prologue may wait. */
  readonly hold: PrologueHold;
  /** Time. */
  readonly clock: Clock;
  /** Time for engines. */
  readonly engineClock: EngineClock;
  /** Log of engines. */
  readonly engineLog: Log;
  /** Metrics of the worker. */
  readonly workerMetrics: Metrics;
  /** Metrics of the endpoint. */
  readonly metrics: EndpointMetrics;
  /** Log. */
  readonly log: Log;
  /** How long an answer may take from when the request runs; 0 is for ever. @unit milliseconds */
  readonly deadlineMs: number;
  /** Begins the trace of a request; left out where nothing is traced. */
  readonly beginTrace?: BeginTrace;
  /** Told of every item sent that is no failure, and of the end of every answer without one. */
  readonly served?: () => void;
}

/** How long a generator may go on after its request was ended; then its place is given away. @unit milliseconds */
const ABORT_GRACE_MS = 2000;
const NS_PER_MS = 1e6;

/** Makes the function that takes or refuses requests of an endpoint. */
export function createAccept(parts: Parts): Accept {
  const { admission, metrics, workerMetrics, clock, log } = parts;
  return (raw) => {
    if (admission.isClosed) return "Server unavailable: worker is shutting down";
    let envelope: Envelope;
    try {
      envelope = decodeEnvelope(raw);
    } catch (error) {
      metrics.failed("invalid_message");
      log.warn("Refusing a request that cannot be answered", { error });
      return `Server unavailable: ${(error as Error).message}`;
    }
    const { head, headers } = envelope;
    const request = new ActiveRequest(head, headers, parts.engineClock, parts.engineLog);
    const permit = admission.tryEnter(request);
    if (permit === null) {
      workerMetrics.rejected();
      return "Server overloaded: worker at capacity";
    }
    const sentAt = Number(headers["x-frontend-send-ts-ns"]) / NS_PER_MS;
    if (sentAt > 0) workerMetrics.transit(Math.max(0, clock.wallTime() - sentAt) / 1000);
    metrics.received(raw.payload.length);
    handle(envelope, request, permit, parts).catch((error) => log.error("Request handling failed", { error }, request));
    return null;
  };
}

async function handle(envelope: Envelope, request: ActiveRequest, permit: Permit, parts: Parts): Promise<void> {
  const { clock, hold, log, metrics, workerMetrics } = parts;
  const { head } = envelope;
  const arrivedAt = clock.now();
  let answer: Answer | null = null;
  using _permit = permit;
  request.trace = parts.beginTrace?.(request.id, request.incoming) ?? null;
  try {
    await permit.entered;
    using _deadline = limitTime(request, parts);
    workerMetrics.permitWait((clock.now() - arrivedAt) / 1000);
    using opening = hold.open();
    const out = await parts.responses.open(head.callHome, (reason) => request.abort(reason));
    answer = new Answer(out, head.codec, () => metrics.failed("serialization"));
    const items = parts.run(() => decodeBody(envelope.body, head.codec), request);
    const begin = () => {
      opening[Symbol.dispose]();
      workerMetrics.firstResponse((clock.now() - arrivedAt) / 1000);
    };
    // One that waited until its time was up is answered without the engine, which never hears of it.
    let { ending } = request;
    if (ending === null) {
      ending = await Promise.race([respond(items, request, answer, hold, begin, parts.served), request.ended]);
      if (ending !== null) parts.abort(request);
    }
    if (ending !== null) conclude(ending, request, answer, parts);
    await released(items, request, parts);
  } catch (error) {
    // The frontend cannot be reached, so it cannot be told either; it notices by itself.
    metrics.failed("response_stream");
    log.warn("Cannot answer a request", { address: head.callHome.address, error }, request);
  } finally {
    request.trace?.end();
    metrics.finished((clock.now() - arrivedAt) / 1000, answer?.bytes ?? 0);
  }
}

/** Ends a request whose answer takes too long, if there is such a thing. */
function limitTime(request: ActiveRequest, { clock, deadlineMs, log, metrics }: Parts): Disposable | null {
  if (deadlineMs === 0) return null;
  return clock.timer(deadlineMs, () => {
    metrics.deadlineExceeded();
    log.warn("Engine did not end an answer in time", { deadline_ms: deadlineMs }, request);
    request.fail(new DynamoError("ResponseTimeout", `the engine did not end its answer within ${deadlineMs / 1000} s`));
  });
}

/** Sends the prologue and every item; resolves with what ended the request from outside, or `null` once all is said. */
async function respond(
  items: ItemStream,
  request: ActiveRequest,
  answer: Answer,
  hold: PrologueHold,
  begin: () => void,
  served?: () => void,
): Promise<Ending | null> {
  const first = items.next();
  const early = await hold.wait(first, request.isAwaited);
  begin();
  if (early instanceof DynamoError && early.isInvalidRequest) {
    answer.refuse(early);
    return null;
  }
  answer.begin();
  let hasFailed = false;
  for (let item = early ?? await first; item !== null; item = await items.next()) {
    // What an engine says to its abort is not part of the answer, which has an end of its own.
    if (request.ending !== null) return request.ending;
    answer.add(item);
    if (answer.isOver) return request.ending;
    hasFailed = isFailed(item);
    if (!hasFailed) served?.();
    // The frontend need not wait for what the engine has to tidy up.
    if (isLast(item)) break;
    if (answer.isFull) await answer.drained();
  }
  if (request.ending === null) {
    answer.finish();
    if (!hasFailed) served?.();
  }
  return request.ending;
}

/** Ends the answer of a request that was ended from outside. */
function conclude(ending: Ending, request: ActiveRequest, answer: Answer, parts: Parts): void {
  if (ending.kind === "failed") return answer.fail(ending.error);
  parts.log.debug("Request aborted", { reason: ending.reason }, request);
  if (ending.reason === "disconnect") parts.metrics.failed("publish_response");
  else parts.metrics.cancelled();
  answer.drop();
}

/** Resolves when the generator has ended, or has had its time to. */
async function released(items: ItemStream, request: ActiveRequest, parts: Parts): Promise<void> {
  const ended = items.close().then(() => null);
  // A request may yet be ended while its engine tidies up.
  if (request.ending === null && await Promise.race([ended, request.ended]) === null) return;
  let timer: Disposable | undefined;
  const late = new Promise<"late">((resolve) => timer = parts.clock.timer(ABORT_GRACE_MS, () => resolve("late")));
  const outcome = await Promise.race([ended, late]);
  timer?.[Symbol.dispose]();
  if (outcome !== "late") return;
  parts.metrics.abortIgnored();
  parts.log.warn("Engine ignores an abort; its stream is detached", {}, request);
}
