/**
 * An engine for simulated worlds: its tokens tell which request they belong to.
 *
 * @module
 */
import type { Engine } from "../../src/engine/engine.ts";
import { chunk, usage } from "../../src/protocol/output.ts";

/** Time per token of one request and the next; 0 is a token a turn. @unit milliseconds */
const PACES_MS = [0, 5, 10, 15, 20, 300, 2];

/** Counts upwards from the first token of the prompt, at a pace that follows from it too. */
export function numberedEngine(): Engine {
  return {
    start: () => Promise.resolve({ model: "numbered", contextLength: 4096 }),
    async *generate(request, ctx) {
      const { token_ids, stop_conditions } = request;
      const [first = 0] = token_ids;
      const count = stop_conditions.max_tokens ?? 8;
      const paceMs = PACES_MS[first / 1000 % PACES_MS.length] ?? 0;
      const startedAt = ctx.clock.now();
      for (let i = 0; i < count; i++) {
        if (paceMs > 0) await ctx.clock.sleepUntil(startedAt + paceMs * (i + 1), ctx.signal);
        else await ctx.clock.nextTurn();
        if (ctx.signal.aborted) return yield chunk.cancelled();
        if (i + 1 < count) yield chunk.tokens([first + i]);
      }
      yield chunk.length(usage(token_ids.length, count), [first + count - 1]);
    },
    cleanup() {},
  };
}
