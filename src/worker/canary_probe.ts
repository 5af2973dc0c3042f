/**
 * One probe of the canary: through the engine like a request, but in process, past admission, metrics and the planes.
 *
 * @module
 */
import type { EngineClock, GenerateContext } from "../engine/context.ts";
import type { Engine, JsonObject } from "../engine/engine.ts";
import { untraced } from "../engine/span.ts";
import type { Log } from "../observe/log.ts";
import type { Item } from "../pipeline/encode.ts";
import { createEngineLog } from "../pipeline/engine_log.ts";
import { isLast } from "../pipeline/generate.ts";
import { DynamoError } from "../protocol/error.ts";
import { type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import { type GenerateRequest, parseRequest } from "../protocol/request.ts";

/** How a probe went; a failed one says why. */
export type ProbeResult =
  | { readonly isHealthy: true }
  | { readonly isHealthy: false; readonly reason: string };

/** Sends one probe; the result comes when the engine has let go of it. `signal` aborts when nobody waits any more. */
export type Probe = (signal: AbortSignal) => Promise<ProbeResult>;

/** Answers a request as the engine does. A failure is thrown, or is the last item. */
export type EngineRun = (request: GenerateRequest, context: GenerateContext) => AsyncIterable<Item>;

/** What {@linkcode createProbe} works with. */
export interface ProbeParts {
  /** Who is asked, and told if an answer is not waited for any more. */
  readonly engine: Engine;
  /** What to send; see `canary_payload.ts`. */
  readonly payload: JsonObject;
  /** Time for engines. */
  readonly clock: EngineClock;
  /** Log of the engine. */
  readonly engineLog: Log;
  /** Log. */
  readonly log: Log;
  /** Whether an answer has tokens; that of an encode worker has none. @default true */
  readonly needsToken?: boolean;
  /** The way to the engine. @default its `generate` */
  readonly run?: EngineRun;
}

/** Makes what the canary calls; its requests are `health-check-1` and on. */
export function createProbe(parts: ProbeParts): Probe {
  const { engine, payload, clock, engineLog, log, needsToken = true } = parts;
  const run = parts.run ?? ((request, context) => engine.generate(request, context));
  let sent = 0;
  return (signal) => {
    const id = `health-check-${++sent}`;
    const context: GenerateContext = {
      id,
      signal,
      metadata: {},
      ...untraced(),
      clock,
      log: createEngineLog(engineLog, { id, incoming: {} }),
      notifyFirstToken() {},
    };
    const abort = () => {
      const told = Promise.resolve().then(() => engine.abort?.(context));
      told.catch((error) => log.warn("engine.abort() failed", { request_id: id, error }));
    };
    signal.addEventListener("abort", abort, { once: true });
    return runProbe(run, payload, context, needsToken);
  };
}

/**
 * Sends a probe and judges its answer; it never throws.
 *
 * Dynamo looks at the first response only: an error, an error as `finish_reason`, none at all, or a time-out is a failure.
 * Here the rest has to be good as well, since an engine can begin an answer and never end it.
 *
 * @source dynamo-runtime 1.6.1, `health_check.rs`, `send_health_check_request`: the rule and the words of the reasons
 */
export async function runProbe(
  run: EngineRun,
  payload: JsonObject,
  context: GenerateContext,
  needsToken = true,
): Promise<ProbeResult> {
  let result: ProbeResult | null = null;
  let items = 0;
  let tokens = 0;
  try {
    for await (const item of run(probeRequest(payload), context)) {
      items++;
      tokens += (item as Partial<GenerateChunk>).token_ids?.length ?? 0;
      if (!isLast(item)) continue;
      result = judge(item, needsToken && tokens === 0);
      break;
    }
  } catch (thrown) {
    // As with any request, the answer is what was said until its end.
    result ??= failedProbe(thrown);
  }
  return result ?? unhealthy(items === 0 ? "no response" : "good first response, but the stream has no finish_reason");
}

/** The result of a probe that could not be sent, or broke off. */
export function failedProbe(thrown: unknown): ProbeResult {
  return unhealthy(`request failed: ${DynamoError.from(thrown).message}`);
}

/** The one member that frontends always write and the parser has no default for comes first, so that a payload can set it. */
function probeRequest(payload: JsonObject): GenerateRequest {
  return parseRequest({ router_config_override: null, ...payload });
}

function judge(last: Item, lacksToken: boolean): ProbeResult {
  if (last instanceof DynamoError) return unhealthy(`error response: ${last.message}`);
  const reason = normalizeFinishReason((last as GenerateChunk).finish_reason);
  if (reason === null) return unhealthy("the finish_reason is none of Dynamo's");
  if (typeof reason === "object") return unhealthy(`error response: ${reason.error}`);
  if (reason === "cancelled") return unhealthy("the engine cancelled the request, which nobody asked for");
  return lacksToken ? unhealthy(`good first response, but the answer ended (${reason}) without a token`) : HEALTHY;
}

const HEALTHY: ProbeResult = { isHealthy: true };

function unhealthy(reason: string): ProbeResult {
  return { isHealthy: false, reason };
}
