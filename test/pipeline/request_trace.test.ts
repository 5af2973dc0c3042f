/** The spans of requests through a whole worker: their parents, links, headers and events, beside the captured ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { context, trace } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { chunk } from "../../src/protocol/output.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { answer, item, read, twoTokens } from "../support/answers.ts";
import { capturedSpans, recordSpans, shape } from "../support/trace_rig.ts";
import { eventually, type Generate, probeEngine, startRig } from "../support/worker_rig.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4799";
const CALLER = "899314962263aaef";
const TRACEPARENT = `00-${TRACE_ID}-${CALLER}-01`;
const HEADERS = { traceparent: TRACEPARENT, "x-request-id": "my-req-1", "request-id": "e9c704c4" };
const LINK = { trace_id: TRACE_ID, span_id: "8ecb6e23c06c1c6a" };

const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId;
const idOf = (span: ReadableSpan) => span.spanContext().spanId;
const eventsOf = (span: ReadableSpan) => span.events.map(({ name }) => name);

test("handle_payload joins the caller's trace, engine.generate is its child, and both are as captured", async () => {
  using recording = recordSpans();
  await answer(twoTokens, { headers: HEADERS });
  const payload = recording.span("handle_payload");
  const generate = recording.span("engine.generate");
  assert.equal(payload.spanContext().traceId, TRACE_ID);
  assert.equal(parentOf(payload), CALLER);
  assert.equal(parentOf(generate), idOf(payload));
  const captured = capturedSpans().served.find(({ name }) => name === "handle_payload")!;
  assert.deepEqual(shape(payload.attributes), shape(captured.attrs));
  const { trace_id, parent_id, trace_flags, x_request_id, request_id } = payload.attributes;
  assert.deepEqual([trace_id, parent_id, trace_flags], [TRACE_ID, CALLER, "01"]);
  assert.deepEqual([x_request_id, request_id], ["my-req-1", "e9c704c4"]);
  assert.equal(payload.kind + 1, captured.kind);
  assert.deepEqual(eventsOf(payload), captured.events.map(({ name }) => name));
  assert.equal(generate.attributes.disagg_role, "agg");
  assert.equal(generate.attributes.output_tokens, "2");
});

test("a request without headers begins a trace of its own, named by its id", async () => {
  using recording = recordSpans();
  await answer(twoTokens, { headers: { "request-id": undefined as unknown as string } });
  const { attributes } = recording.span("handle_payload");
  assert.equal(parentOf(recording.span("handle_payload")), undefined);
  assert.deepEqual([attributes.request_id, attributes.trace_id, attributes.trace_flags], ["r", undefined, undefined]);
});

test("a traceparent that is none is no caller's", async () => {
  using recording = recordSpans();
  await answer(twoTokens, { headers: { traceparent: "a-b-c-d" } });
  const { attributes } = recording.span("handle_payload");
  assert.deepEqual([attributes.trace_id, attributes.parent_id, attributes.trace_flags], [
    undefined,
    undefined,
    undefined,
  ]);
});

test("a trace that the caller does not sample is not recorded, and passed on as it came", async () => {
  using recording = recordSpans();
  const traceparent = `00-${TRACE_ID}-${CALLER}-00`;
  const { probe } = await answer(twoTokens, { headers: { traceparent } });
  assert.deepEqual(recording.spans(), []);
  assert.equal(probe.seen[0]!.ctx.traceHeaders().traceparent, traceparent);
});

test("the engine's spans, events and headers belong to engine.generate", async () => {
  using recording = recordSpans();
  const sent: Record<string, string>[] = [];
  const carriers = [new Headers(), new Map<string, string>(), {} as Record<string, string>] as const;
  const generate: Generate = async function* (_request, ctx) {
    const current = ctx.currentSpan();
    current.setAttribute("engine.batch", 3);
    current.setAttributes({ "engine.kind": "test", "engine.ids": [1, 2] });
    current.addEvent("scheduled", { position: 1 });
    {
      using _tokens = ctx.startSpan("sample.tokens", { prompt_len: 3 });
      await Promise.resolve();
    }
    for (const layer of [1, 2]) {
      using span = ctx.startSpan(`layer.${layer}`);
      using inner = span.startSpan("attention");
      inner.recordException(new RangeError("too long"));
    }
    sent.push({ ...ctx.traceHeaders() });
    for (const carrier of carriers) ctx.injectTrace(carrier);
    current.end();
    assert.equal(current.isRecording, true, "the worker ends it");
    yield chunk.stop(undefined, [1]);
  };
  await answer(generate, { headers: { ...HEADERS, tracestate: "v=1" } });
  const span = recording.span("engine.generate");
  const { attributes } = span;
  assert.deepEqual(
    [attributes["engine.batch"], attributes["engine.kind"], attributes["engine.ids"]],
    [3, "test", [1, 2]],
  );
  assert.deepEqual(span.events.map(({ name, attributes }) => [name, attributes]), [["scheduled", { position: 1 }]]);
  for (const name of ["sample.tokens", "layer.1", "layer.2"]) assert.equal(parentOf(recording.span(name)), idOf(span));
  assert.deepEqual(recording.span("sample.tokens").attributes, { prompt_len: 3 });
  const inner = recording.spans().filter(({ name }) => name === "attention");
  assert.deepEqual(inner.map(parentOf), ["layer.1", "layer.2"].map((name) => idOf(recording.span(name))));
  assert.deepEqual(inner[0]!.status.message, "too long");
  const expected = { ...HEADERS, tracestate: "v=1", traceparent: `00-${TRACE_ID}-${idOf(span)}-01` };
  assert.deepEqual(sent, [expected]);
  for (const carrier of carriers) {
    const written = carrier instanceof Headers || carrier instanceof Map ? Object.fromEntries(carrier) : carrier;
    assert.deepEqual(written, expected);
  }
});

test("the engine runs with its span as the active one, after every wait and every chunk", async () => {
  using recording = recordSpans();
  const active: (string | undefined)[] = [];
  const look = () => active.push(trace.getSpan(context.active())?.spanContext().spanId);
  await answer(async function* (_request, ctx) {
    try {
      look();
      yield chunk.tokens([1]);
      look();
      await ctx.clock.nextTurn();
      look();
      yield chunk.stop();
    } finally {
      look();
    }
  });
  assert.deepEqual(active, Array.from({ length: 4 }, () => idOf(recording.span("engine.generate"))));
});

test("requests side by side keep their spans apart", async () => {
  using recording = recordSpans();
  const { engine } = probeEngine(async function* (_request, ctx) {
    for (let i = 0; i < 5; i++) {
      await ctx.clock.nextTurn();
      ctx.startSpan(`${ctx.id}.${i}`).end();
      yield chunk.tokens([i]);
    }
    yield chunk.stop();
  });
  await using rig = await startRig(engine);
  const ids = ["a", "b", "c"];
  for (const id of ids) rig.link.write(rig.frame({ id }));
  for (const id of ids) await (await rig.frontend.call(id)).whole();
  await eventually("all spans to end", () => recording.spans().length === 3 * 7);
  for (const id of ids) {
    const payload = recording.spans().find(({ attributes }) => attributes.request_id === id)!;
    const generate = recording.spans().find((span) => parentOf(span) === idOf(payload))!;
    for (let i = 0; i < 5; i++) assert.equal(parentOf(recording.span(`${id}.${i}`)), idOf(generate));
  }
});

test("the first chunk on the wire names the span, so that the next worker can link to it", async () => {
  using recording = recordSpans();
  const { frames } = await answer(twoTokens, { headers: HEADERS });
  const worker_trace_link = { trace_id: TRACE_ID, span_id: idOf(recording.span("engine.generate")) };
  assert.deepEqual(frames.slice(2, 4), [item([1], { worker_trace_link }), item([70_000])]);
});

test("a request that migrated here is linked to where it was before", async () => {
  using recording = recordSpans();
  await answer(twoTokens, { body: { token_ids: [1, 2, 3], stop_conditions: {}, migration_link: LINK } });
  const { links, attributes } = recording.span("engine.generate");
  assert.deepEqual(links.map((link) => link.context.spanId), [LINK.span_id]);
  assert.deepEqual([attributes.migration_trace_id, attributes.migration_span_id], [LINK.trace_id, LINK.span_id]);
});

test("a failed engine is told on its span, a bad body on none", async () => {
  using recording = recordSpans();
  // deno-lint-ignore require-yield -- an engine that fails at once
  await answer(async function* () {
    throw new DynamoError("CannotConnect", "no");
  });
  const { status, attributes } = recording.span("engine.generate");
  assert.deepEqual([status.message, attributes.error_kind], ["Backend(CannotConnect)", "Backend(CannotConnect)"]);
  await answer(twoTokens, { body: { token_ids: "x" } });
  const names = recording.spans().map(({ name }) => name);
  assert.deepEqual(names, ["engine.generate", "handle_payload", "handle_payload"]);
});

test("a stream without an end is an error on its span", async () => {
  using recording = recordSpans();
  await answer(async function* () {
    yield chunk.tokens([1]);
  });
  assert.equal(recording.span("engine.generate").attributes.error_kind, "Backend(StreamIncomplete)");
});

test("a request that its frontend gives up is told as such, and its span ends all the same", async () => {
  using recording = recordSpans();
  const { engine, probe } = probeEngine(async function* (_request, ctx) {
    yield chunk.tokens([1]);
    await ctx.clock.sleepUntil(ctx.clock.now() + 600_000, ctx.signal);
  });
  await using rig = await startRig(engine);
  const call = await rig.send({ id: "r" });
  await eventually("the first token", () => probe.open === 1 && call.bytes.length > 100);
  call.say("kill");
  await eventually("both spans to end", () => recording.spans().length === 2);
  const { attributes, status } = recording.span("engine.generate");
  assert.deepEqual([attributes.cancelled, attributes.finish_reason], [true, "Dropped"]);
  assert.equal(status.message, "stream dropped before terminal");
  assert.deepEqual(eventsOf(recording.span("handle_payload")), [
    "request received",
    "request cancellation received",
    "request completed",
  ]);
});

test("log lines of a traced request name trace and span", async () => {
  using recording = recordSpans();
  // deno-lint-ignore require-yield -- an engine that fails at once
  const { engine } = probeEngine(async function* () {
    throw new DynamoError("CannotConnect", "no");
  });
  await using rig = await startRig(engine);
  await (await rig.send({ id: "r", headers: HEADERS })).whole();
  const line = rig.lines.find((one) => one.includes("Request failed"))!;
  const span = idOf(recording.span("engine.generate"));
  const ids = `trace_id=${TRACE_ID} parent_id=${idOf(recording.span("handle_payload"))} span_id=${span}`;
  assert.ok(line.includes(ids), line);
  assert.ok(line.includes("span_name=engine.generate"), line);
});

test("without a provider nothing differs: the same bytes, the headers as they came, spans that do nothing", async () => {
  const generate: Generate = async function* (_request, ctx) {
    using span = ctx.startSpan("x", { a: 1 });
    using inner = span.startSpan("y");
    inner.recordException(new Error("no"));
    ctx.currentSpan().setAttribute("a", 1);
    ctx.currentSpan().addEvent("b");
    const { isRecording, traceId, spanId } = ctx.currentSpan();
    assert.deepEqual([isRecording, traceId, spanId], [false, "", ""]);
    const map = new Map<string, string>();
    ctx.injectTrace(map);
    assert.deepEqual(Object.fromEntries(map), { ...HEADERS });
    assert.deepEqual(ctx.traceHeaders(), HEADERS);
    yield* twoTokens(_request, ctx);
  };
  const { frames } = await answer(generate, { headers: HEADERS });
  const { frames: expected } = await answer(twoTokens);
  assert.deepEqual(frames, expected);
  assert.deepEqual(frames[2], item([1]));
});

test("without a provider an engine's iterator is read as it is", async () => {
  let reads = 0;
  const stream: AsyncIterator<ReturnType<typeof chunk.stop>> = {
    next() {
      reads++;
      assert.equal(trace.getSpan(context.active()), undefined);
      return Promise.resolve({ done: false, value: reads === 1 ? chunk.tokens([1]) : chunk.stop() });
    },
  };
  const { engine } = probeEngine(twoTokens);
  const plain = { ...engine, generate: () => ({ [Symbol.asyncIterator]: () => stream }) };
  await using rig = await startRig(plain);
  const frames = read(await (await rig.send({ id: "r" })).whole());
  assert.deepEqual(frames[2], item([1]));
});
