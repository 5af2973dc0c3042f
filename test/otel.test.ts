/** The entry `./otel`: what it registers, what it warns of, and how it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTracing } from "../src/observe/trace.ts";
import { type OtelOptions, startOtel } from "../src/otel.ts";
import { type ExportedSpan, type Manners, openCollector } from "./support/otlp_collector.ts";
import { recordSpans } from "./support/trace_rig.ts";

interface Case extends OtelOptions {
  /** Traces begun. @default 1 */
  readonly count?: number;
  readonly manners?: Manners;
}

/** What is exported, and what is warned of. */
async function exported(
  env: Record<string, string> = {},
  { count = 1, manners = "good", ...options }: Case = {},
): Promise<{ spans: readonly ExportedSpan[]; warnings: string[] }> {
  await using collector = await openCollector(manners);
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  {
    const here = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.endpoint}/v1/traces` };
    await using otel = startOtel({ ...options, env: { ...here, ...env }, warn });
    assert.equal(otel.isOurs, true);
    for (let i = 0; i < count; i++) openTracing()!.begin("x", {}, { i })?.end();
  }
  assert.equal(openTracing(), null, "nothing stays registered");
  return { spans: collector.spans, warnings };
}

test("what is left is sent at the end, under Dynamo's default name", async () => {
  const { spans, warnings } = await exported();
  assert.deepEqual(spans.map(({ name }) => name), ["x"]);
  assert.equal(spans[0]!.service, "dynamo");
  assert.deepEqual(warnings, []);
});

test("the resource is what the environment says", async () => {
  const OTEL_RESOURCE_ATTRIBUTES = "service.name=a, deployment.environment=b%20c,odd,=x,bad=%zz";
  const { resource } = (await exported({ OTEL_RESOURCE_ATTRIBUTES })).spans[0]!;
  assert.deepEqual(
    [resource["service.name"], resource["deployment.environment"], resource.bad, resource.odd],
    ["a", "b c", "%zz", undefined],
  );
  const named = await exported({ OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME: "w" });
  assert.equal(named.spans[0]!.service, "w");
});

test("OTEL_TRACES_SAMPLE_RATIO samples traces that begin here", async () => {
  assert.equal((await exported({ OTEL_TRACES_SAMPLE_RATIO: "0" }, { count: 50 })).spans.length, 0);
  assert.equal((await exported({ OTEL_TRACES_SAMPLE_RATIO: "1" }, { count: 50 })).spans.length, 50);
  for (const odd of ["2", "-1", "x", "NaN"]) {
    const { spans, warnings } = await exported({ OTEL_TRACES_SAMPLE_RATIO: odd }, { count: 5 });
    assert.equal(spans.length, 5);
    assert.deepEqual(warnings, [`Ignoring OTEL_TRACES_SAMPLE_RATIO=${odd}: it must be between 0 and 1`]);
  }
});

const ADVICE: readonly [env: Record<string, string>, text: RegExp][] = [
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, /PROTOCOL is grpc.*http\/protobuf only/],
  [{ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json" }, /PROTOCOL is http\/json/],
];

for (const [env, text] of ADVICE) {
  test(`${JSON.stringify(env)} is warned of`, async () => {
    const { warnings } = await exported(env);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, text);
  });
}

test("an endpoint on the port of gRPC is warned of", async () => {
  const { warnings } = await exported({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4317" }, { count: 0 });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /http:\/\/127\.0\.0\.1:4317 is the usual port of gRPC.*4318/);
});

test("an endpoint for all signals has a path for traces", async () => {
  await using collector = await openCollector();
  for (const OTEL_EXPORTER_OTLP_ENDPOINT of [collector.endpoint, `${collector.endpoint}/`]) {
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "", OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" };
    const { warnings } = await exported({ ...env, OTEL_EXPORTER_OTLP_ENDPOINT });
    assert.deepEqual(warnings, []);
  }
  assert.equal(collector.spans.length, 2);
});

test("a provider that is there is left alone", async () => {
  using recording = recordSpans();
  {
    await using otel = startOtel({ env: {} });
    assert.equal(otel.isOurs, false);
  }
  openTracing()!.begin("x", {}, {})!.end();
  assert.equal(recording.spans().length, 1);
});

test("a collector that refuses is told of once", async () => {
  const { spans, warnings } = await exported({}, { manners: "refusing" });
  assert.equal(spans.length, 1);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^Traces cannot be exported; this is said once: /);
});

test("a collector that never answers does not hold up the end", async () => {
  const { warnings } = await exported({}, { manners: "silent", flushSeconds: 0.05 });
  assert.deepEqual(warnings, [
    "Traces cannot be exported; this is said once: the last ones were not taken within 0.05 s",
  ]);
});
