import assert from "node:assert/strict";
import { test } from "node:test";
import { context, trace } from "@opentelemetry/api";
import { AlwaysOffSampler, BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { openTracing } from "../../src/observe/trace.ts";
import { recordSpans } from "../support/trace_rig.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4799";

test("openTracing() finds out whether there is a provider", () => {
  assert.equal(openTracing(), null);
  {
    using _recording = recordSpans();
    assert.notEqual(openTracing(), null);
  }
  assert.equal(openTracing(), null);
});

test("a provider that another copy of the API registered counts", () => {
  const provider = new BasicTracerProvider();
  assert.notEqual(openTracing({ getTracer: (name) => provider.getTracer(name) }), null);
});

test("what a sampler refuses is not traced", () => {
  assert.equal(openTracing(new BasicTracerProvider({ sampler: new AlwaysOffSampler() }))!.begin("x", {}, {}), null);
});

for (
  const [what, traceparent] of [
    ["none", undefined],
    ["nonsense", "x"],
    ["a trace of zeros", `00-${"0".repeat(32)}-899314962263aaef-01`],
    ["a version that is none", `ff-${TRACE_ID}-899314962263aaef-01`],
  ] as const
) {
  test(`a traceparent that cannot be followed begins a new trace: ${what}`, () => {
    using _recording = recordSpans();
    const span = openTracing()!.begin("x", traceparent === undefined ? {} : { traceparent }, {})!;
    assert.match(span.traceId, /^(?!0{32})[0-9a-f]{32}$/);
    assert.notEqual(span.traceId, TRACE_ID);
    assert.equal(span.traceparent, `00-${span.traceId}-${span.spanId}-01`);
  });
}

test("enter() makes a span the active one for a call", () => {
  using _recording = recordSpans();
  const span = openTracing()!.begin("x", {}, {})!;
  const seen = span.enter(() => trace.getSpan(context.active())?.spanContext().spanId);
  assert.equal(seen, span.spanId);
  assert.equal(trace.getSpan(context.active()), undefined);
});

test("anything that is thrown can be recorded", () => {
  using recording = recordSpans();
  const span = openTracing()!.begin("x", {}, {})!;
  span.recordException("just text");
  span.end();
  assert.deepEqual(recording.span("x").status, { code: 2, message: "just text" });
});
