/**
 * An engine whose every token follows from the one before it, so that a stream that moves to another worker can be seen
 * to go on where it was, and ways for it to fail: `POST /engine/update/fail` with `{ "how": "throw" | "reject" }`.
 *
 * @module
 */
import process from "node:process";
import { chunk, defineEngine, serve, usage } from "@stator/worker";

/** The first and the number of the tokens: letters of the byte-level model. */
const FIRST = 97;
const LETTERS = 26;

const { COUNTING_MODEL: model = "", COUNTING_DELAY_MS = "20" } = process.env;

const engine = defineEngine({
  start: () => Promise.resolve({ model, servedModelName: model, contextLength: 4096, kvCacheBlockSize: 16 }),
  async *generate(request, ctx) {
    const { token_ids: prompt, stop_conditions } = request;
    const count = stop_conditions.max_tokens ?? 16;
    let token = prompt.at(-1) ?? 0;
    const startedAt = ctx.clock.now();
    for (let i = 1; i <= count; i++) {
      await ctx.clock.sleepUntil(startedAt + i * Number(COUNTING_DELAY_MS), ctx.signal);
      if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt.length, i - 1));
      token = FIRST + (token + 1 - FIRST + LETTERS * 1000) % LETTERS;
      yield i < count ? chunk.tokens([token]) : chunk.length(usage(prompt.length, count), [token]);
    }
  },
  updates: {
    fail({ how }) {
      if (how === "reject") Promise.reject(new Error("a rejection that nobody handles"));
      else setTimeout(explode);
      return { failing: true };
    },
  },
  cleanup: () => console.log("cleaned up"),
});

function explode(): never {
  throw new Error("an exception that nobody catches");
}

await serve(engine);
