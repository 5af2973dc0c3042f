/**
 * The worker of the soak: an engine of uneven pace that knows how many of its generators are open.
 *
 * A request whose first token is 0 is answered with the counts, after a garbage collection where there is one.
 *
 * @module
 */
import { chunk, defineEngine, serve } from "@stator/worker";

const runtime = globalThis as unknown as { gc?(): void; Bun?: { gc(synchronous: boolean): void } };
const counts = { open: 0, started: 0, aborted: 0 };

await serve(defineEngine({
  start: () => Promise.resolve({ model: "soak", contextLength: 4096 }),
  async *generate(request, ctx) {
    const [first = 0] = request.token_ids;
    if (first === 0) {
      runtime.gc?.();
      runtime.Bun?.gc(true);
      return yield chunk.stop(undefined, [counts.open, counts.started, counts.aborted]);
    }
    counts.open++;
    counts.started++;
    try {
      // One in four thinks before its first token; one in four does not pace itself at all.
      const tokenMs = first % 4 === 1 ? 0 : 1 + first % 3;
      const begin = ctx.clock.now() + (first % 4 === 0 ? 100 : 0);
      for (let i = 0; i < 64; i++) {
        if (tokenMs === 0) await ctx.clock.nextTurn();
        else await ctx.clock.sleepUntil(begin + i * tokenMs, ctx.signal);
        if (ctx.signal.aborted) return yield chunk.cancelled();
        yield chunk.tokens([first + i]);
      }
      yield chunk.stop();
    } finally {
      counts.open--;
    }
  },
  abort: () => void counts.aborted++,
  cleanup() {},
}));
