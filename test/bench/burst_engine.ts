/**
 * A worker whose engine has many tokens ready at a time, as one with speculation or large steps has: 32 chunks of one
 * token each, then a turn of the event loop.
 *
 * @module
 */
import process from "node:process";
import { chunk, defineEngine, type Engine, type GenerateChunk, serve, usage } from "@stator/worker";

const READY_PER_TURN = 32;

/** Makes the engine. */
export function burstEngine(model: string): Engine {
  return defineEngine({
    start: () => Promise.resolve({ model, servedModelName: model, contextLength: 2048, kvCacheBlockSize: 16 }),
    async *generate(request, ctx): AsyncGenerator<GenerateChunk> {
      const prompt = request.token_ids.length;
      const count = request.stop_conditions.max_tokens ?? 16;
      for (let done = 0; done < count; done++) {
        if (done % READY_PER_TURN === 0) await ctx.clock.nextTurn();
        if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt, done));
        if (done + 1 < count) yield chunk.tokens([done + 1]);
      }
      yield chunk.length(usage(prompt, count), [count]);
    },
    cleanup() {},
  });
}

if (import.meta.main) {
  const model = process.argv[process.argv.indexOf("--model-name") + 1];
  await serve(burstEngine(model ?? "burst"));
}
