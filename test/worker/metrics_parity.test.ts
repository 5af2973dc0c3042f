/** `/metrics` of a worker that serves, beside that of Dynamo's own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { KvBlocks } from "../../src/engine/kv_blocks.ts";
import { chunk } from "../../src/protocol/output.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { goldenText } from "../support/golden.ts";
import { assertParity } from "../support/metric_shapes.ts";
import { freePort } from "../support/processes.ts";
import { endless } from "../support/worker_life.ts";
import { eventually, probeEngine, startRig } from "../support/worker_rig.ts";

test("the exposition of a worker that serves is that of Dynamo's, but for what is listed", async () => {
  const { engine } = probeEngine(async function* (request) {
    if (request.token_ids[0] === 7) throw new Error("broken");
    yield chunk.tokens([1]);
    yield chunk.stop();
  }, { start: () => Promise.resolve({ model: "tiny", kvCacheBlockSize: 16 }) });
  const cache = new KvBlocks({ totalBlocks: 8 });
  const cached: Engine = {
    ...engine,
    kvEventSources: () => [cache.source],
    componentMetricsDpRanks: () => [cache.dpRank],
    attachSnapshotPublisher: (publisher) => cache.report(publisher),
  };
  await using rig = await startRig(cached, { worker: { component: "sample", systemPort: 0, eventPlane: "zmq" } });
  for (const token of [1, 7]) await (await rig.send({ body: { token_ids: [token] } })).whole();
  // Routers recover KV events over an endpoint of its own.
  const metric = (name: string) => rig.metric(`dynamo_component_${name}`, 'dynamo_endpoint="generate"');
  await eventually("both to be over", async () => await metric("inflight_requests") === 0);

  const text = await (await fetch(`http://${rig.info.systemAddress}/metrics`)).text();
  assertParity(text, goldenText("contract/metrics_worker_agg.txt"));
  assert.equal(await metric("requests_total"), 2);
});

test("the lifecycle gauges are there from the start on, and through the whole shutdown", async () => {
  const released = Promise.withResolvers<void>();
  const gauges: Record<string, number[]> = {};
  const { engine } = probeEngine(async function* () {
    yield chunk.stop();
  }, { drain: () => note("drain"), cleanup: () => note("cleanup") });
  const rig = await startRig(engine);
  const note = async (when: string): Promise<void> => {
    const steps = ["model_load", "drain", "cleanup"];
    const read = steps.map((step) => rig.metric(`dynamo_component_${step}_time_seconds`, 'model="probe"'));
    gauges[when] = await Promise.all(read);
    released.resolve();
  };
  await note("ready");
  await rig[Symbol.asyncDispose]();
  const [load, ...later] = gauges.ready!;
  assert.ok(load! > 0);
  assert.deepEqual(later, [0, 0]);
  assert.deepEqual(gauges.drain, gauges.ready);
  assert.deepEqual([gauges.cleanup![0], gauges.cleanup![1]! > 0, gauges.cleanup![2]], [load, true, 0]);
});

test("the gauges have the engine's name of the model and the one clients use; loading is start() and nothing else", async () => {
  const clock = new FakeClock();
  const start = async () => {
    await clock.advance(1500);
    return { model: "probe" };
  };
  const { engine } = probeEngine(endless, { start });
  await using rig = await startRig(engine, { platform: { clock }, worker: { servedModelName: "served" } });
  const text = await (await fetch(`http://${rig.info.systemAddress}/metrics`)).text();
  assert.match(text, /model_load_time_seconds\{[^}]*,model="probe",model_name="served",worker_id="\w+"\} 1\.5\n/);
});

test("while the engine starts the exposition says only what runs, and since when", async () => {
  const clock = new FakeClock();
  const begun = Promise.withResolvers<void>();
  const loaded = Promise.withResolvers<{ model: string }>();
  const { engine } = probeEngine(endless, { start: () => (begun.resolve(), loaded.promise) });
  const port = await freePort();
  const starting = startRig(engine, { platform: { clock }, worker: { systemPort: port } });
  await begun.promise;
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.deepEqual(text.match(/(?<=^# TYPE )\w+/gm), ["dynamo_component_uptime_seconds", "stator_build_info"]);
  loaded.resolve({ model: "probe" });
  await using _rig = await starting;
});
