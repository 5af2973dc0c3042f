/** The log that a worker gives its engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chunk, type EngineLog, type GenerateContext } from "@stator/worker";
import { MemStore } from "../../src/discovery/mem.ts";
import { createLog } from "../../src/observe/log.ts";
import { Fleet } from "../../src/worker/fleet.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { platformWith, probeEngine, startRig } from "../support/worker_rig.ts";

const TRACEPARENT = "00-349608fc8dd53dba7c567d8802c94f4f-f3322e3cc3cc99a3-01";

/** An engine that speaks at every turn of its life. */
function talkative() {
  let log: EngineLog | undefined;
  const say = (message: string) => log?.info(message);
  return probeEngine(async function* (_request, ctx: GenerateContext) {
    ctx.log.debug("answering", { prompt: 3 });
    yield await Promise.resolve(chunk.stop(undefined, [1]));
  }, {
    start(_workerId, _signal, ctx) {
      log = ctx.log;
      say("starting");
      return Promise.resolve({ model: "probe", contextLength: 64 });
    },
    drain: () => say("draining"),
    cleanup: () => say("cleaning up"),
  });
}

test("an engine logs from start to cleanup, its requests with their ids, under a target of its own", async () => {
  const rig = await startRig(talkative().engine);
  const call = await rig.send({ id: "r-1", headers: { traceparent: TRACEPARENT } });
  await call.whole();
  await rig[Symbol.asyncDispose]();
  const trace = "trace_id=349608fc8dd53dba7c567d8802c94f4f parent_id=f3322e3cc3cc99a3";
  assert.deepEqual(rig.lines.filter((line) => line.includes("stator::engine:")).map(withoutTime), [
    "INFO stator::engine: starting",
    `DEBUG stator::engine: answering prompt=3 request_id=r-1 ${trace}`,
    "INFO stator::engine: draining",
    "INFO stator::engine: cleaning up",
  ]);
});

for (
  const [filter, expected] of [
    ["warn,stator::engine=info", ["INFO stator::engine: starting", "INFO stator::engine: cleaning up"]],
    ["stator::engine=off", []],
  ] as const
) {
  test(`DYN_LOG=${filter} counts for engines; the lines of several workers have the worker's number`, async () => {
    const lines: string[] = [];
    const log = createLog({ filter, wallTime: () => 0, write: (line) => void lines.push(line) });
    const parts = { platform: platformWith(), options: resolveOptions({}, {}), log, memStore: new MemStore() };
    const fleet = new Fleet([talkative().engine, talkative().engine], parts);
    fleet.begin();
    await fleet.ready;
    fleet.stop();
    await fleet.finished;
    const told = lines.filter((line) => line.includes("stator::engine:")).map(withoutTime);
    for (const worker of [0, 1]) {
      const own = told.filter((line) => line.endsWith(`worker=${worker}`) && !line.includes("draining"));
      assert.deepEqual(own, expected.map((line) => `${line} worker=${worker}`));
    }
    assert.equal(lines.some((line) => line.includes("INFO stator::worker:")), filter === "stator::engine=off");
  });
}

function withoutTime(line: string): string {
  return line.replace(/^\S+ +/, "");
}
