/**
 * Runs the engine on one request: body in, items out, every failure as the last item.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { EndpointMetrics } from "../observe/metrics.ts";
import type { Log } from "../observe/log.ts";
import { DynamoError } from "../protocol/error.ts";
import { type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import { parseRequest } from "../protocol/request.ts";
import type { ActiveRequest } from "./active_request.ts";
import type { Item } from "./encode.ts";
import { createValidator, type ValidationMode } from "./validate.ts";

/** Answers a decoded body with items. It never throws: a failure is the last item. */
export type Run = (body: () => unknown, request: ActiveRequest) => AsyncGenerator<Item, void>;

/** How the streams of an engine are held to their contract. */
export interface StreamRules {
  /** What happens to a breach. */
  readonly mode: ValidationMode;
  /** The worker's part in serving. */
  readonly role: WorkerType;
}

/** Makes the {@linkcode Run} of an engine. Nothing follows a terminal chunk, and without one the stream is incomplete. */
export function runEngine(engine: Engine, { mode, role }: StreamRules, metrics: EndpointMetrics, log: Log): Run {
  return async function* (body, context) {
    let hasBegun = false;
    let hasTerminal = false;
    try {
      const request = parseRequest(body());
      hasBegun = true;
      const validator = createValidator(request, mode, {
        role,
        report: ({ kind, message }) =>
          log.warn("Engine breaks the stream contract", { kind, detail: message }, context),
      });
      for await (const chunk of engine.generate(request, context)) {
        validator.push(chunk);
        hasTerminal = isLast(chunk);
        yield chunk;
        if (hasTerminal) return;
      }
      if (context.ending === null) validator.end();
      throw new DynamoError("StreamIncomplete", "the engine ended its stream without a finish_reason");
    } catch (thrown) {
      // A cancelled engine may well throw: nobody is waiting for the reason.
      if (context.ending !== null) return;
      if (hasTerminal) {
        log.warn("Engine threw after its last chunk", { error: thrown }, context);
        return;
      }
      const error = DynamoError.from(thrown);
      metrics.failed(hasBegun ? "generate" : "deserialization");
      log.debug("Request failed", { kind: error.kind, error: error.message }, context);
      if (error.kind === "Unknown" && error.cause !== undefined) {
        log.warn("Engine threw while generating", { error: error.cause }, context);
      }
      yield error;
    }
  };
}

/** Whether an item says that the answer failed; what an engine that works does not say. */
export function isFailed(item: Item): boolean {
  if (item instanceof DynamoError) return true;
  const { finish_reason } = item as GenerateChunk;
  if (finish_reason === undefined || finish_reason === null) return false;
  return typeof normalizeFinishReason(finish_reason) === "object";
}

/** Whether nothing can follow an item: it is an error, or a chunk that says how the answer ended. */
export function isLast(item: Item): boolean {
  if (item instanceof DynamoError) return true;
  const { finish_reason } = item as GenerateChunk;
  return finish_reason !== undefined && finish_reason !== null;
}
