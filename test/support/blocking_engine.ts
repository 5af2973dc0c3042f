/**
 * An engine that blocks its event loop on request, and a worker around it. Each token says where it stands in the whole
 * text, also in one that another worker began: positions in the alphabet, over and over.
 *
 * `STATOR_TEST_BLOCK` names a file. When it appears, the engine takes it away and computes for as many milliseconds as
 * it holds.
 *
 * @module
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { chunk, defineEngine, type Engine, serve, usage } from "@stator/worker";

const file = process.env.STATOR_TEST_BLOCK ?? "";
const TOKEN_MS = 50;
const LETTERS = 26;
/** Token of the letter A in the tiny model. */
const FIRST = 32;

/** Makes the engine. */
export function blockingEngine(model: string): Engine {
  return defineEngine({
    start: () => Promise.resolve({ model, contextLength: 2048, kvCacheBlockSize: 16 }),
    async *generate(request, ctx) {
      const prompt = request.token_ids.length;
      const count = request.stop_conditions.max_tokens ?? 16;
      for (let done = 1; done <= count; done++) {
        await ctx.clock.sleepUntil(ctx.clock.now() + TOKEN_MS, ctx.signal);
        if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt, done - 1));
        blockIfAsked();
        const letter = [FIRST + (prompt + done) % LETTERS];
        yield done < count ? chunk.tokens(letter) : chunk.length(usage(prompt, count), letter);
      }
    },
    cleanup() {},
  });
}

function blockIfAsked(): void {
  if (file === "" || !existsSync(file)) return;
  const end = Date.now() + Number(readFileSync(file, "utf8"));
  rmSync(file);
  console.log("BLOCKED");
  while (Date.now() < end) { /* nothing else runs */ }
  console.log("WENT ON");
}

if (import.meta.main) {
  const model = process.argv[process.argv.indexOf("--model-name") + 1];
  await serve(blockingEngine(model ?? "blocking"));
}
