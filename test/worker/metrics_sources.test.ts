/** An engine's own metrics in the `/metrics` of its worker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gauge, Registry } from "prom-client";
import type { MetricsSource } from "../../src/engine/metrics_source.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { hexId } from "../../src/protocol/record.ts";
import { chunk } from "../../src/protocol/output.ts";
import { endless, makeWorker } from "../support/worker_life.ts";
import { probeEngine, type Rig, startRig } from "../support/worker_rig.ts";

function withSources(metricsSources: () => readonly MetricsSource[]): Engine {
  const { engine } = probeEngine(async function* () {
    yield chunk.stop();
  }, { start: () => Promise.resolve({ model: "m" }) });
  return { ...engine, metricsSources };
}

/** The exposition behind the worker's own families. */
async function appended(rig: Rig): Promise<string> {
  const response = await fetch(`http://${rig.info.systemAddress}/metrics`);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  return text.slice(text.search(/^# HELP (?!dynamo_|stator_)|^vllm:/m));
}

/** A registry of Python's client as it writes it, and what Dynamo's worker makes of it. */
const PYTHON = `# HELP vllm:num_requests_running Running
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="own\\"name"} 3.0
# HELP vllm:prompt_tokens_total Prompt
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total 5.0
# HELP vllm:ttft_seconds T
# TYPE vllm:ttft_seconds histogram
vllm:ttft_seconds_bucket{le="0.1"} 0.0
vllm:ttft_seconds_bucket{le="+Inf"} 1.0
vllm:ttft_seconds_count 1.0
vllm:ttft_seconds_sum 0.5
# HELP python_info no
# TYPE python_info gauge
python_info 1.0
`;
const ENDPOINT = 'dynamo_component="backend",dynamo_endpoint="generate",dynamo_namespace="dynamo"';
const bridged = (id: string): string =>
  `# HELP vllm:num_requests_running Running
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{${ENDPOINT},engine="0",model="m",model_name="own\\"name",worker_id="${id}"} 3.0
# HELP vllm:prompt_tokens_total Prompt
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{${ENDPOINT},model="m",model_name="m",worker_id="${id}"} 5.0
# HELP vllm:ttft_seconds T
# TYPE vllm:ttft_seconds histogram
vllm:ttft_seconds_bucket{${ENDPOINT},le="0.1",model="m",model_name="m",worker_id="${id}"} 0.0
vllm:ttft_seconds_bucket{${ENDPOINT},le="+Inf",model="m",model_name="m",worker_id="${id}"} 1.0
vllm:ttft_seconds_count{${ENDPOINT},model="m",model_name="m",worker_id="${id}"} 1.0
vllm:ttft_seconds_sum{${ENDPOINT},model="m",model_name="m",worker_id="${id}"} 0.5
`;

test("a registry is shown as Dynamo's worker shows one: chosen by prefix, with the worker's labels", async () => {
  const registry = { metrics: () => PYTHON };
  await using rig = await startRig(withSources(() => [{ registry, prefixFilters: ["vllm:", "sglang:"] }]));
  assert.equal(await appended(rig), bridged(hexId(rig.info.instanceId)));
});

test("a registry of prom-client is read at each scrape", async () => {
  const registry = new Registry();
  const gauge = new Gauge({ name: "vllm:kv_cache_usage", help: "Usage", registers: [registry] });
  let asked = 0;
  await using rig = await startRig(withSources(() => (asked++, [{ registry, excludePrefixes: ["nothing_"] }])));
  for (const value of [0.25, 0.5]) {
    gauge.set(value);
    assert.equal(await rig.metric("vllm:kv_cache_usage", 'model="m"'), value);
  }
  assert.equal(asked, 1);
});

test("an exposition of a callback has no labels but its own, unless they are asked for", async () => {
  const expfmt = () => 'vllm:a{b="c"} 1\n';
  const source = { expfmt, labels: { lora: "x", b: "y" } };
  await using rig = await startRig(
    withSources(() => [{ expfmt }, source, { ...source, autoLabels: true, labels: { worker_id: "mine", z: "1" } }]),
  );
  const id = hexId(rig.info.instanceId);
  assert.equal(
    await appended(rig),
    'vllm:a{b="c"} 1\nvllm:a{b="c",lora="x"} 1\n' +
      `vllm:a{b="c",${ENDPOINT},model="m",model_name="m",worker_id="${id}",z="1"} 1\n`,
  );
  assert.ok(rig.lines.some((line) => /WARN .*Ignoring labels that the worker sets itself/.test(line)));
});

test("one that fails and one under the worker's names leave the scrape whole", async () => {
  const thrower = () => {
    throw new Error("gone");
  };
  const collides = "dynamo_component_errors_total 5\ndynamo_work_handler_permit_wait_seconds_sum 1\nvllm:a 1\n";
  await using rig = await startRig(
    withSources(() => [{ expfmt: thrower, name: "engine" }, { expfmt: () => collides }]),
  );
  assert.equal(await appended(rig), "vllm:a 1\n");
  const id = hexId(rig.info.instanceId);
  const labels = `{reason="error",source="engine",worker_id="${id}"}`;
  assert.equal(await rig.metric("stator_metrics_source_failures_total", labels), 2);
  assert.ok(rig.lines.some((line) => line.includes("dynamo_component_errors_total is taken by the worker")));
});

for (
  const [what, sources, message] of [
    ["neither registry nor expfmt", [{}], /metrics source 0: give it either a registry/],
    ["both", [{ registry: new Registry(), expfmt: () => "" }], /give it either/],
    ["a registry that is none", [{ registry: {}, name: "vllm" }], /metrics source vllm: give it either/],
    ["nothing", [null], /metrics source 0/],
    ["a reserved label", [{ expfmt: () => "", labels: { le: "1" } }], /the label le belongs to the samples/],
    ["a bad label", [{ expfmt: () => "", labels: { "a-b": "1" } }], /"a-b" is no name of a label/],
    ["no array", {}, /returned no array/],
  ] as const
) {
  test(`a source with ${what} fails the start, and the engine is cleaned up`, async () => {
    const { engine, probe } = probeEngine(endless);
    const { worker } = makeWorker({ ...engine, metricsSources: () => sources as unknown as MetricsSource[] });
    await assert.rejects(worker.start(), { kind: "InvalidArgument", message });
    assert.deepEqual([(await worker.finished).exitCode, probe.cleanups], [1, 1]);
  });
}

test("an engine that cannot tell its sources fails the start", async () => {
  const { engine, probe } = probeEngine(endless);
  const metricsSources = () => {
    throw new Error("no registry");
  };
  const { worker } = makeWorker({ ...engine, metricsSources });
  await assert.rejects(worker.start(), { kind: "EngineShutdown", message: /metricsSources\(\) failed: no registry/ });
  assert.deepEqual([(await worker.finished).exitCode, probe.cleanups], [1, 1]);
});
