/**
 * Runs the engine on one request: body in, items out, every failure as the last item.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { EndpointMetrics } from "../observe/metrics.ts";
import type { Log } from "../observe/log.ts";
import { DynamoError } from "../protocol/error.ts";
import type { GenerateChunk } from "../protocol/output.ts";
import { parseRequest } from "../protocol/request.ts";
import type { ActiveRequest } from "./active_request.ts";
import type { Item } from "./encode.ts";

/** Answers a decoded body with items. It never throws: a failure is the last item. */
export type Run = (body: () => unknown, request: ActiveRequest) => AsyncGenerator<Item, void>;

/** Makes the {@linkcode Run} of an engine. Nothing follows a terminal chunk, and without one the stream is incomplete. */
export function runEngine(engine: Engine, metrics: EndpointMetrics, log: Log): Run {
  return async function* (body, context) {
    let hasBegun = false;
    let hasTerminal = false;
    try {
      const request = parseRequest(body());
      hasBegun = true;
      for await (const chunk of engine.generate(request, context)) {
        hasTerminal = isLast(chunk);
        yield chunk;
        if (hasTerminal) return;
      }
      throw new DynamoError("StreamIncomplete", "the engine ended its stream without a finish_reason");
    } catch (thrown) {
      // A cancelled engine may well throw: nobody is waiting for the reason.
      if (context.ending !== null) return;
      if (hasTerminal) {
        log.warn("Engine threw after its last chunk", { request_id: context.id, error: thrown });
        return;
      }
      const error = DynamoError.from(thrown);
      metrics.failed(hasBegun ? "generate" : "deserialization");
      log.debug("Request failed", { request_id: context.id, kind: error.kind, error: error.message });
      if (error.kind === "Unknown" && error.cause !== undefined) {
        log.warn("Engine threw while generating", { request_id: context.id, error: error.cause });
      }
      yield error;
    }
  };
}

/** Whether nothing can follow an item: it is an error, or a chunk that says how the answer ended. */
export function isLast(item: Item): boolean {
  if (item instanceof DynamoError) return true;
  const { finish_reason } = item as GenerateChunk;
  return finish_reason !== undefined && finish_reason !== null;
}
