/**
 * Writes down what a worker does to its engine, and what the engine does in return.
 *
 * @module
 */
import type { GenerateContext } from "../../engine/context.ts";
import { RequestAborted } from "../../engine/context.ts";
import type { Engine } from "../../engine/engine.ts";
import type { GenerateChunk } from "../../protocol/output.ts";
import type { GenerateRequest } from "../../protocol/request.ts";
import type { EventKind, History } from "./history.ts";

/** An engine that does the same, and whose every step is in the history. */
export function recordEngine(engine: Engine, history: History): Engine {
  const note = (what: EventKind, id?: string, detail?: string): void =>
    history.add("engine", what, { ...(id === undefined ? {} : { id }), ...(detail === undefined ? {} : { detail }) });
  return {
    ...engine,
    async start(workerId, signal, ctx) {
      note("start");
      try {
        const config = await engine.start(workerId, signal, ctx);
        note("started");
        return config;
      } catch (error) {
        note("start failed");
        throw error;
      }
    },
    generate: (request, ctx) => recordStream(engine, request, ctx, history),
    abort(ctx) {
      note("abort", ctx.id);
      return engine.abort?.(ctx);
    },
    async drain(signal) {
      note("drain");
      try {
        await engine.drain?.(signal);
      } finally {
        note("drained");
      }
    },
    async cleanup() {
      note("cleanup");
      try {
        await engine.cleanup();
      } finally {
        note("cleaned up");
      }
    },
  };
}

async function* recordStream(
  engine: Engine,
  request: GenerateRequest,
  ctx: GenerateContext,
  history: History,
): AsyncGenerator<GenerateChunk, void> {
  const { id, signal } = ctx;
  history.add("engine", "generate", { id });
  const onAbort = (): void => {
    const detail = signal.reason instanceof RequestAborted ? signal.reason.reason : "";
    history.add("engine", "aborted", { id, detail });
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const chunk of engine.generate(request, ctx)) {
      const { token_ids, finish_reason } = chunk;
      const detail = describeReason(finish_reason);
      history.add("engine", "yield", { id, tokens: [...token_ids ?? []], ...(detail === null ? {} : { detail }) });
      yield chunk;
    }
  } catch (error) {
    history.add("engine", "threw", { id });
    throw error;
  } finally {
    history.add("engine", "finally", { id });
  }
}

/** A finish reason in a word. */
export function describeReason(reason: GenerateChunk["finish_reason"]): string | null {
  if (reason === undefined || reason === null) return null;
  return typeof reason === "string" ? reason : "error";
}
