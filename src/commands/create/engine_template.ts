/**
 * The code of a new project: an engine that needs no model, the program that serves it, and its tests.
 *
 * @module
 */

/** `engine.ts`. */
export const ENGINE = `import {
  chunk,
  defineEngine,
  type Engine,
  type EngineModule,
  type GenerateChunk,
  invalidArgument,
  isProbe,
  usage,
} from "@stator/worker";

/** Settings of the engine; the worker fills in its own options of the same names. */
export interface Settings {
  readonly modelName?: string;
  readonly disaggregationMode?: string;
  /** Tokens of an answer when the request sets no limit. */
  readonly maxTokens?: number;
}

/** Answers with the prompt, over and over. Replace what \`start\` and the loop of \`generate\` do by your model. */
export function createEngine(settings: Settings = {}): Engine {
  const { modelName = "{{name}}", disaggregationMode = "agg", maxTokens = 16 } = settings;

  return defineEngine({
    // Load the model here.
    start(_workerId, _signal, { log }) {
      log.info("Loading the model", { model: modelName });
      return Promise.resolve({ model: modelName, contextLength: 4096 });
    },

    async *generate(request, ctx): AsyncGenerator<GenerateChunk> {
      const prompt = request.token_ids;
      if (disaggregationMode === "decode" && request.prefill_result === undefined && !isProbe(request)) {
        throw invalidArgument("a decode worker needs prefill_result");
      }
      // A prefill worker makes one token and hands over what the decode worker needs to go on.
      const isPrefill = disaggregationMode === "prefill";
      const most = isPrefill ? 1 : request.stop_conditions.max_tokens ?? maxTokens;
      if (most === 0) return yield chunk.length(usage(prompt.length, 0));
      for (let i = 0; i < most; i++) {
        if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt.length, i));
        // Ask the model for the next token here.
        const id = prompt[i % prompt.length] ?? 0;
        const isLast = i + 1 === most;
        const piece = isLast ? chunk.length(usage(prompt.length, most), [id]) : chunk.tokens([id]);
        yield isPrefill ? { ...piece, disaggregated_params: { first_token: id } } : piece;
        await ctx.clock.nextTurn();
      }
    },

    // Free the model here. It is called once, also if start failed.
    cleanup() {},
  });
}

const group = "Engine";

/** The engine with options of its own for the command line. */
export const module: EngineModule = {
  options: [
    { key: "maxTokens", flag: "max-tokens", type: "integer", default: 16, min: 0, group, help: "tokens of an answer" },
  ],
  create: (values) => createEngine(values as Settings),
};
`;

/** `main.ts`. */
export const MAIN = `import { serve } from "@stator/worker";
import { module } from "./engine.ts";

await serve(module);
`;

/** `engine.test.ts`. */
export const ENGINE_TEST = `import assert from "node:assert/strict";
import { test } from "node:test";
import { assertConformance, runConformance, startLoopback } from "@stator/worker/testing";
import { createEngine } from "./engine.ts";

for (const role of ["agg", "prefill", "decode"] as const) {
  test("the engine keeps Dynamo's contract: " + role, async () => {
    assertConformance(await runConformance(() => createEngine({ disaggregationMode: role }), { role }));
  });
}

test("the engine answers over the wire", async () => {
  await using loopback = await startLoopback(createEngine());
  const tokens: number[] = [];
  const request = { token_ids: [1, 2, 3], stop_conditions: { max_tokens: 4 } };
  for await (const chunk of loopback.request(request)) tokens.push(...chunk.token_ids);
  assert.deepEqual(tokens, [1, 2, 3, 1]);
});
`;
