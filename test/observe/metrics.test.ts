import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics, type Metrics } from "../../src/observe/metrics.ts";
import { goldenText } from "../support/golden.ts";

const NAME = { namespace: "dynamo", component: "sample", endpoint: "generate" };
const WORKER = 0xbf046dc296576313n;
/** Families that come with KV events, and those that only we have; `metrics_parity.test.ts` knows each. */
const APART = /^(# \w+ )?(dynamo_component_(kv_publisher_|total_blocks|gpu_cache_usage)|stator_)/;

function create(now: () => number = () => 0): Metrics {
  return createMetrics({ instanceId: WORKER, now });
}

/** Lines without their values. */
function shape(text: string): string[] {
  return text.trimEnd().split("\n").filter((line) => !APART.test(line)).map((line) =>
    line.startsWith("#") ? line : line.slice(0, line.lastIndexOf(" "))
  );
}

/** The value of a series, given as it is written. */
function value(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

const LABELS = '{dynamo_component="sample",dynamo_endpoint="generate",dynamo_namespace="dynamo",' +
  'worker_id="bf046dc296576313"}';

test("text() has the families, helps, types, labels, buckets and order of a real worker", async () => {
  const metrics = create();
  const endpoint = metrics.endpoint(NAME);
  metrics.endpoint({ ...NAME, endpoint: "worker_kv_query_source_8e40acabcd0eb" });
  metrics.lifecycle(NAME, { model: "tiny", modelName: "tiny" });
  endpoint.failed("publish_final");
  endpoint.failed("publish_response");
  assert.deepEqual(shape(await metrics.text()), shape(goldenText("contract/metrics_worker_agg.txt")));
});

test("errors_total is absent until the first error", async () => {
  const metrics = create();
  const endpoint = metrics.endpoint(NAME);
  assert.doesNotMatch(await metrics.text(), /errors_total/);
  endpoint.failed("generate");
  endpoint.failed("generate");
  const series = `dynamo_component_errors_total${LABELS.replace("worker_id", 'error_type="generate",worker_id')}`;
  assert.equal(value(await metrics.text(), series), 2);
});

test("endpoint() counts requests, bytes, durations, cancellations and what is in flight", async () => {
  const metrics = create();
  const endpoint = metrics.endpoint(NAME);
  endpoint.received(100);
  endpoint.received(20);
  endpoint.finished(0.2, 7);
  endpoint.cancelled();
  const text = await metrics.text();
  const of = (name: string): number | undefined => value(text, `dynamo_component_${name}${LABELS}`);
  assert.equal(of("requests_total"), 2);
  assert.equal(of("request_bytes_total"), 120);
  assert.equal(of("response_bytes_total"), 7);
  assert.equal(of("cancellation_total"), 1);
  assert.equal(of("inflight_requests"), 1);
  assert.equal(endpoint.inflight, 1);
  assert.equal(of("request_duration_seconds_count"), 1);
  assert.equal(of("request_duration_seconds_sum"), 0.2);
  const bucket = (le: string): number | undefined =>
    value(text, `dynamo_component_request_duration_seconds_bucket${LABELS.replace("}", `,le="${le}"}`)}`);
  assert.deepEqual([bucket("0.1"), bucket("0.25"), bucket("+Inf")], [0, 1, 1]);
});

test("endpoint() of the same endpoint goes on counting", async () => {
  const metrics = create();
  metrics.endpoint(NAME).received(1);
  metrics.endpoint({ ...NAME }).received(1);
  assert.equal(value(await metrics.text(), `dynamo_component_requests_total${LABELS}`), 2);
});

test("lifecycle() gauges are 0, then what they are set to", async () => {
  const metrics = create();
  const lifecycle = metrics.lifecycle(NAME, { model: "/models/tiny", modelName: "tiny" });
  const labels = LABELS.replace("worker_id", 'model="/models/tiny",model_name="tiny",worker_id');
  const read = async (): Promise<(number | undefined)[]> => {
    const text = await metrics.text();
    return ["model_load", "drain", "cleanup"].map((step) =>
      value(text, `dynamo_component_${step}_time_seconds${labels}`)
    );
  };
  assert.deepEqual(await read(), [0, 0, 0]);
  lifecycle.modelLoadTime(1.5);
  lifecycle.drainTime(2);
  lifecycle.cleanupTime(3);
  assert.deepEqual(await read(), [1.5, 2, 3]);
});

test("uptime and admission are read at each scrape", async () => {
  let now = 5000;
  let active = 1;
  const metrics = create(() => now);
  metrics.bindAdmission(() => ({
    active,
    queued: 2,
    capacity: 10_000,
    queueCapacity: 40_000,
    engineRequests: 3,
    requestQueue: 4,
  }));
  metrics.endpoint(NAME);
  await metrics.text();
  now += 2500;
  active = 9;
  const text = await metrics.text();
  assert.equal(value(text, 'dynamo_component_uptime_seconds{worker_id="bf046dc296576313"}'), 2.5);
  assert.equal(value(text, "dynamo_work_handler_pool_active_tasks"), 9);
  assert.equal(value(text, "dynamo_work_handler_queue_depth"), 2);
  assert.equal(value(text, "dynamo_work_handler_pool_capacity"), 10_000);
  assert.equal(value(text, "dynamo_work_handler_queue_capacity"), 40_000);
  assert.equal(value(text, "dynamo_engine_request"), 3);
  assert.equal(value(text, "dynamo_request_queue"), 4);
});

test("handler histograms and rejections are counted", async () => {
  const metrics = create();
  metrics.endpoint(NAME);
  metrics.transit(0.0003);
  metrics.firstResponse(0.002);
  metrics.permitWait(0.02);
  metrics.rejected();
  const text = await metrics.text();
  assert.equal(value(text, 'dynamo_work_handler_network_transit_seconds_bucket{le="0.0005"}'), 1);
  assert.equal(value(text, 'dynamo_work_handler_time_to_first_response_seconds_bucket{le="0.005"}'), 1);
  assert.equal(value(text, 'dynamo_work_handler_permit_wait_seconds_bucket{le="0.05"}'), 1);
  assert.equal(value(text, "dynamo_rejection_request_total"), 1);
});

test("two workers in one process do not share a registry", async () => {
  const [a, b] = [create(), create()];
  b.endpoint(NAME);
  a.rejected();
  assert.equal(value(await b.text(), "dynamo_rejection_request_total"), 0);
});

test("label values that look like syntax survive", async () => {
  const metrics = create();
  const endpoint = metrics.endpoint({ ...NAME, component: 'a"} b\\' });
  endpoint.received(1);
  const text = await metrics.text();
  const labels = LABELS.replace("sample", 'a\\"} b\\\\');
  assert.equal(value(text, `dynamo_component_requests_total${labels}`), 1);
  assert.equal(
    value(text, `dynamo_component_request_duration_seconds_bucket${labels.slice(0, -1)},le="+Inf"}`),
    0,
  );
});

test("before there is an endpoint the exposition says only what runs, and since when", async () => {
  const build = { version: "1.2.3", runtime: "deno 2.9.6" };
  const metrics = createMetrics({ instanceId: WORKER, now: () => 0, build });
  const text = await metrics.text();
  assert.deepEqual(text.split("\n").filter((line) => !line.startsWith("#")), [
    'dynamo_component_uptime_seconds{worker_id="bf046dc296576313"} 0',
    'stator_build_info{runtime="deno 2.9.6",version="1.2.3"} 1',
    "",
  ]);
});

test("what only we count is there with an endpoint, and violations from the first on", async () => {
  const metrics = create();
  const endpoint = metrics.endpoint(NAME);
  const read = async (): Promise<unknown[]> => {
    const text = await metrics.text();
    return [
      value(text, `stator_engine_abort_ignored_total${LABELS}`),
      value(text, `stator_engine_deadline_exceeded_total${LABELS}`),
      value(
        text,
        `stator_stream_contract_violations_total${LABELS.replace("worker_id", 'kind="IndexNotZero",worker_id')}`,
      ),
    ];
  };
  assert.deepEqual(await read(), [0, 0, undefined]);
  endpoint.abortIgnored();
  endpoint.deadlineExceeded();
  endpoint.violated("IndexNotZero");
  endpoint.violated("IndexNotZero");
  assert.deepEqual(await read(), [1, 1, 2]);
});

test("append() shows a text behind the worker's own, which counts what failed in it", async () => {
  const metrics = create();
  metrics.append(() => {
    metrics.sourceFailed("0", "timeout");
    return Promise.resolve("a 1\n");
  });
  metrics.append(() => Promise.resolve("b 1\n"));
  const text = await metrics.text();
  assert.ok(text.endsWith("\na 1\nb 1\n"));
  const series = 'stator_metrics_source_failures_total{reason="timeout",source="0",worker_id="bf046dc296576313"}';
  assert.equal(value(text, series), 1);
});

test("figures of topics are read at each scrape; counts go on where they were", async () => {
  const metrics = create();
  metrics.endpoint(NAME);
  let figures = { published: 3, dropped: 0, cut: 0, waitingBytes: 10 };
  metrics.bindEvents(NAME, () => new Map([["kv-events", figures]]));
  const labels = 'dynamo_component="sample",dynamo_endpoint="generate",dynamo_namespace="dynamo",topic="kv-events"';
  const read = async () => {
    const text = await metrics.text();
    return ["messages_published_total", "messages_dropped_total", "subscribers_cut_total", "waiting_bytes"].map((
      name,
    ) => value(text, `stator_event_${name}{${labels},worker_id="bf046dc296576313"}`));
  };
  assert.deepEqual(await read(), [3, 0, 0, 10]);
  figures = { published: 5, dropped: 2, cut: 1, waitingBytes: 0 };
  assert.deepEqual(await read(), [5, 2, 1, 0]);
  assert.deepEqual(await read(), [5, 2, 1, 0]);
});
