/**
 * The sample engine as a worker that prints every request it gets, as a JSON line, before it answers.
 *
 * `STATOR_TEST_BARE` makes the engine say no more of itself than its model's name. `STATOR_TEST_BOOTSTRAP_PORT` makes a prefill worker advertise a rendezvous there; a decode worker then asks for no
 * prefill result, since both legs begin at the same time.
 *
 * @module
 */
import process from "node:process";
import { defineEngine, type EngineModule, serve } from "@stator/worker";
import { module as sample, sampleEngine, type SampleEngineOptions } from "@stator/worker/engines/sample";
import { stringifyJson } from "../../src/protocol/payload.ts";

const { STATOR_TEST_BARE: bare, STATOR_TEST_BOOTSTRAP_PORT: port } = process.env;
const rendezvous = port === undefined ? {} : { bootstrapHost: "127.0.0.1", bootstrapPort: Number(port) };

/** The engine with the options of the sample. */
export const module: EngineModule = {
  ...sample,
  create(values) {
    const { disaggregationMode: mode, ...options } = values as SampleEngineOptions;
    const isBlind = port !== undefined && mode === "decode";
    const engine = sampleEngine({ ...options, ...(mode === undefined || isBlind ? {} : { disaggregationMode: mode }) });
    return defineEngine({
      ...engine,
      async start(workerId, signal, ctx) {
        const config = await engine.start(workerId, signal, ctx);
        if (bare !== undefined) return { model: config.model };
        return { ...config, ...(mode === "prefill" ? rendezvous : {}) };
      },
      generate(request, ctx) {
        console.log(stringifyJson({ id: ctx.id, request }));
        return engine.generate(request, ctx);
      },
    });
  },
};

if (import.meta.main) await serve(module);
