/** A command line as an engine and its options, without a worker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { module as sample } from "@stator/worker/engines/sample";
import type { EngineModule } from "../../src/engine/engine.ts";
import type { OptionValues } from "../../src/engine/option.ts";
import { chunk } from "../../src/protocol/output.ts";
import { createWorker, parseWorkerArgs, parseWorkerArgsOn } from "../../src/serve.ts";
import { UsageError } from "../../src/worker/command_line.ts";
import { platformWith, probeEngine } from "../support/worker_rig.ts";

function recorder(defaults: OptionValues = {}) {
  const { engine, probe } = probeEngine(async function* () {
    yield chunk.stop();
  });
  const seen: OptionValues[] = [];
  const module: EngineModule = {
    options: [{ key: "speed", flag: "speed", type: "number", default: 1, group: "Mine", help: "of it" }],
    defaults,
    // Asynchronous on purpose: an engine may have to look at its files first.
    create: async (values) => {
      await Promise.resolve();
      seen.push(values);
      return engine;
    },
  };
  return { module, engine, probe, seen };
}

test("parseWorkerArgs() gives engine and options of an explicit command line, and starts nothing", async () => {
  const { module, engine, probe, seen } = recorder({ component: "mine" });
  const argv = ["--speed", "2", "--namespace", "prod", "--disaggregation-mode", "prefill"];
  const args = await parseWorkerArgs(argv, module);
  assert.equal(args.engine, engine);
  assert.deepEqual(args.options, {
    component: "mine",
    namespace: "prod",
    disaggregationMode: "prefill",
    speed: 2,
  });
  assert.deepEqual([seen[0]?.speed, seen[0]?.disaggregationMode], [2, "prefill"]);
  assert.equal(probe.starts, 0);
  await assert.rejects(parseWorkerArgs(["--sped", "2"], module), UsageError);
});

test("engine and worker have the same role, whoever names it", async () => {
  const { module, seen } = recorder({ disaggregationMode: "prefill", component: "mine" });
  for (
    const [env, argv, role] of [[undefined, [], "prefill"], ["decode", [], "decode"], [
      "decode",
      ["--disaggregation-mode", "encode"],
      "encode",
    ]] as const
  ) {
    const platform = platformWith({}, env === undefined ? {} : { DYN_DISAGGREGATION_MODE: env });
    const { options } = await parseWorkerArgsOn(platform, argv, module);
    assert.deepEqual([seen.at(-1)?.disaggregationMode, options.disaggregationMode], [role, role]);
  }
});

test("what parseWorkerArgs() gives makes a worker", async () => {
  const { engine, options } = await parseWorkerArgs(["--served-model-name", "own", "--no-gateway"], sample);
  const worker = createWorker(engine, { ...options, discoveryBackend: "mem" });
  const { modelName, endpoint } = await worker.start();
  assert.deepEqual([modelName, endpoint.component], ["own", "sample"]);
  assert.equal((await worker.stop()).exitCode, 0);
});
