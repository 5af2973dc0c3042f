/**
 * A worker that operators can put to sleep and break: the control `set` says what `sleep`, `wake_up` and health checks
 * do from then on. `peers/control_worker.py` is the same on Dynamo's own worker.
 *
 * @module
 */
import process from "node:process";
import { chunk, defineEngine, DynamoError, type Engine, isProbe, type JsonObject, serve, usage } from "@stator/worker";

/** Makes the engine. */
export function controlEngine(model: string): Engine {
  let manner: JsonObject = {};
  const asTold = (name: string): JsonObject => {
    if (manner[name] === "throw") throw new DynamoError("Unknown", `${name} failed`);
    if (manner[name] === "error") return { status: "error", message: `${name} is not possible` };
    return { status: "ok", ...(manner[name] === "asleep" ? { is_sleeping: true } : {}) };
  };
  return defineEngine({
    start: () =>
      Promise.resolve({
        model,
        servedModelName: model,
        contextLength: 2048,
        kvCacheBlockSize: 16,
        totalKvBlocks: 1000,
      }),
    healthCheckPayload: () => ({ token_ids: [1], stop_conditions: { max_tokens: 1, ignore_eos: true } }),
    async *generate(request, ctx) {
      if (isProbe(request) && manner.probe === "throw") throw new DynamoError("Unknown", "the probe failed");
      if (isProbe(request) && manner.probe === "hang") await ctx.clock.sleepUntil(Infinity, ctx.signal);
      if (ctx.signal.aborted) return yield chunk.cancelled();
      yield chunk.length(usage(request.token_ids.length, 1), [65]);
    },
    controls: {
      set: (body) => {
        manner = body;
        return { status: "ok" };
      },
      sleep: () => asTold("sleep"),
      wake_up: () => asTold("wake_up"),
      start_profile: () => asTold("start_profile"),
    },
    updates: { update_weights: (body) => ({ status: "ok", loaded: body }) },
    cleanup() {},
  });
}

if (import.meta.main) {
  const model = process.argv[process.argv.indexOf("--model-name") + 1];
  await serve(controlEngine(model ?? "control"));
}
