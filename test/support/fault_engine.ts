/**
 * An engine that fails on request, and a worker around it: the `seed` of a request names a scenario of
 * `fault_scenarios.ts`. What happens to the engine is printed as JSON lines, with wall-clock times.
 *
 * `STATOR_TEST_START_MS` makes `start` take that long, `STATOR_TEST_CLEANUP_MS` makes `cleanup` take that long, and
 * `STATOR_TEST_START_THROWS` names what `start` throws.
 *
 * @module
 */
import process from "node:process";
import {
  chunk,
  defineEngine,
  type Engine,
  type FinishReason,
  type GenerateChunk,
  type GenerateContext,
  type GenerateRequest,
  serve,
  usage,
} from "@stator/worker";
import { faultError } from "./fault_errors.ts";
import { contractCapture, SCENARIOS } from "./fault_scenarios.ts";

const captures = contractCapture("chunks_to_http.json");
const ONE_TOKEN_MS = 50;

/** Makes the engine. */
export function faultEngine(model: string): Engine {
  return defineEngine({
    async start() {
      say("start");
      await new Promise((resolve) => setTimeout(resolve, Number(process.env.STATOR_TEST_START_MS ?? 0)));
      const { STATOR_TEST_START_THROWS: thrown } = process.env;
      if (thrown !== undefined) throw faultError(thrown);
      say("started");
      return { model, servedModelName: model, contextLength: 2048, kvCacheBlockSize: 16, maxNumSeqs: 64 };
    },
    async *generate(request, ctx) {
      const scenario = SCENARIOS[Number(request.sampling_options.seed ?? -1)] ?? "finish stop";
      ctx.signal.addEventListener("abort", () => say("signal", ctx.id));
      say("generate", ctx.id);
      ctx.log.debug("Playing a scenario", { scenario });
      try {
        yield* play(scenario, request, ctx);
      } finally {
        say("finally", ctx.id);
      }
    },
    abort: (ctx) => say("abort", ctx.id),
    drain: () => say("drain"),
    async cleanup() {
      say("cleanup");
      await new Promise((resolve) => setTimeout(resolve, Number(process.env.STATOR_TEST_CLEANUP_MS ?? 0)));
      say("cleaned up");
    },
  });
}

function say(event: string, id?: string): void {
  console.log(JSON.stringify({ event, ...(id === undefined ? {} : { id }), at: Date.now() }));
}

async function* play(scenario: string, request: GenerateRequest, ctx: GenerateContext): AsyncGenerator<GenerateChunk> {
  const [verb = "", ...rest] = scenario.split(" ");
  const what = rest.join(" ");
  if (verb === "throw") yield* fail(what);
  else if (verb === "finish") yield* finish(what);
  else if (verb === "chunks") yield* captures[what].engine_chunks as GenerateChunk[];
  else yield* dawdle(verb, request, ctx);
}

async function* fail(what: string): AsyncGenerator<GenerateChunk> {
  const [, thrown = "", count = "0"] = /^(.*) after (\d)$/.exec(what) ?? [];
  for (let token = 0; token < Number(count); token++) yield chunk.tokens([72 + token]);
  throw faultError(thrown);
}

async function* finish(reason: string): AsyncGenerator<GenerateChunk> {
  yield chunk.tokens([72]);
  yield chunk.tokens([94]); // a byte that no character begins with: the text shows U+FFFD
  // The captures' file names cannot hold a colon.
  yield { token_ids: [33], index: 0, finish_reason: reason.replace("__", ": ") as FinishReason };
}

/** `slow` answers in its own time, `silent` never begins, `deaf` is slow and does not care about being aborted. */
async function* dawdle(how: string, request: GenerateRequest, ctx: GenerateContext): AsyncGenerator<GenerateChunk> {
  const count = request.stop_conditions.max_tokens ?? 16;
  const prompt = request.token_ids.length;
  const begin = ctx.clock.now();
  const wait = (ms: number) => ctx.clock.sleepUntil(begin + ms, how === "deaf" ? undefined : ctx.signal);
  if (how === "silent") await wait(60_000);
  for (let done = 0; done < count; done++) {
    await wait((done + 1) * ONE_TOKEN_MS);
    if (ctx.signal.aborted && how !== "deaf") return yield chunk.cancelled(usage(prompt, done));
    if (done + 1 < count) yield chunk.tokens([65]);
  }
  yield chunk.length(usage(prompt, count), [66]);
}

if (import.meta.main) {
  const model = process.argv[process.argv.indexOf("--model-name") + 1];
  await serve(faultEngine(model ?? "fault"));
}
