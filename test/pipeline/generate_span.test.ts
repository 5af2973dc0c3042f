/** The span `engine.generate`, beside the captured ones of Dynamo's own workers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTracing, type TraceSpan } from "../../src/observe/trace.ts";
import { GenerateSpan } from "../../src/pipeline/generate_span.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import type { WorkerType } from "../../src/protocol/model_card.ts";
import { chunk, type FinishReason, type GenerateChunk, usage } from "../../src/protocol/output.ts";
import { parseRequest } from "../../src/protocol/request.ts";
import { capturedSpans, recordSpans, shape } from "../support/trace_rig.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4799";
const LINK = { trace_id: TRACE_ID, span_id: "8ecb6e23c06c1c6a" };

/** What happens to a stream: time passes, chunks come, or it ends otherwise. */
type Step = number | GenerateChunk | "cancel" | DynamoError;

interface Play {
  readonly role?: WorkerType;
  readonly more?: Record<string, unknown>;
}

/** Plays the steps and gives the span and what was passed on. */
async function play(steps: readonly Step[], { role = "aggregated", more = {} }: Play = {}) {
  using recording = recordSpans();
  let time = 0;
  const payload = openTracing()!.begin("handle_payload", {}, {}) as TraceSpan;
  const request = parseRequest({ model: "tiny", token_ids: Array.from({ length: 13 }, () => 1), ...more });
  const span = new GenerateSpan(payload, request, role, () => time);
  const passed: GenerateChunk[] = [];
  const stream = async function* () {
    for (const step of steps) {
      if (typeof step === "number") time += step;
      else if (step === "cancel") span.cancelled();
      else if (step instanceof DynamoError) throw step;
      else yield step;
    }
  };
  const iterator = span.read(() => stream());
  try {
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) passed.push(step.value);
  } catch (error) {
    span.fail(error as DynamoError);
  }
  span.end();
  return { span: recording.span("engine.generate"), passed };
}

function captured(role: string, has = "model") {
  const found = capturedSpans().served.find(({ name, attrs }) =>
    name === "engine.generate" && attrs.disagg_role === role && has in attrs
  );
  return found ?? assert.fail(`no captured span of a ${role} worker with ${has}`);
}

test("a decode worker's span has the names, types and values of the captured one", async () => {
  const steps = [21.874, chunk.tokens([1]), 20.6, chunk.tokens([2]), 21.37, chunk.length(undefined, [3])];
  const { span } = await play(steps, { role: "decode", more: { migration_link: LINK } });
  const expected = captured("decode");
  assert.deepEqual(shape(span.attributes), shape(expected.attrs));
  const { busy_ns: _busy, idle_ns: _idle, ...values } = expected.attrs;
  assert.deepEqual(span.attributes, values);
  assert.deepEqual([span.kind + 1, span.status.code], [expected.kind, 0]);
});

test("a prefill worker's span has no gaps between tokens to tell of, as captured", async () => {
  const { span } = await play([22.33, chunk.length(undefined, [3])], { role: "prefill" });
  const { busy_ns: _busy, idle_ns: _idle, ...values } = captured("prefill").attrs;
  assert.deepEqual(span.attributes, values);
});

test("a failed stream tells the error's kind, as captured", async () => {
  const failure = new DynamoError("InvalidArgument", "no");
  const steps = [0.43, chunk.tokens([1]), 0.34, chunk.tokens([2]), failure];
  const more = { token_ids: Array.from({ length: 32 }, () => 1) };
  const { span } = await play(steps, { role: "prefill", more });
  const expected = captured("prefill", "error_kind");
  const { busy_ns: _busy, idle_ns: _idle, ...values } = expected.attrs;
  assert.deepEqual(span.attributes, values);
  assert.deepEqual(span.status, expected.status);
});

test("a dropped stream is told as captured: without figures that nobody waited for", async () => {
  const { span } = await play([22.08, chunk.tokens([1]), "cancel"], { role: "decode", more: { migration_link: LINK } });
  const { dropped } = capturedSpans();
  assert.deepEqual(shape(span.attributes), shape(dropped.attrs));
  assert.deepEqual(
    [span.attributes.cancelled, span.attributes.finish_reason, span.status],
    [dropped.attrs.cancelled, dropped.attrs.finish_reason, dropped.status],
  );
});

test("the span links to the one the request came from, and not to one that is none", async () => {
  const { span } = await play([chunk.stop()], { more: { migration_link: LINK } });
  const links = span.links.map(({ context: { traceId, spanId, isRemote } }) => ({ traceId, spanId, isRemote }));
  assert.deepEqual(links, [{ traceId: LINK.trace_id, spanId: LINK.span_id, isRemote: true }]);
  const broken = await play([chunk.stop()], { more: { migration_link: { trace_id: "x", span_id: "y" } } });
  assert.deepEqual(broken.span.links, []);
  assert.equal(broken.span.attributes.migration_trace_id, "x");
  for (const migration_link of [null, "x", 3, { trace_id: 1 }]) {
    const without = await play([chunk.stop()], { more: { migration_link } });
    assert.equal("migration_trace_id" in without.span.attributes, false);
  }
});

test("gaps between tokens are ranked, not interpolated, and chunks without tokens make none", async () => {
  const gaps = [4, 1, 3, 2];
  const steps = [10, chunk.tokens([0]), ...gaps.flatMap((gap) => [gap, chunk.tokens([1, 2])]), 50, chunk.stop()];
  const { attributes } = (await play(steps)).span;
  const { avg_itl_ms, itl_p50_ms, itl_p99_ms, itl_max_ms, ttft_ms, output_tokens } = attributes;
  assert.deepEqual(
    { avg_itl_ms, itl_p50_ms, itl_p99_ms, itl_max_ms, ttft_ms, output_tokens },
    {
      avg_itl_ms: "2.50",
      itl_p50_ms: "3.00",
      itl_p99_ms: "4.00",
      itl_max_ms: "4.00",
      ttft_ms: "10.00",
      output_tokens: "9",
    },
  );
});

const REASONS: readonly [FinishReason, string][] = [
  ["stop", "Stop"],
  ["length", "Length"],
  ["eos", "EoS"],
  ["content_filter", "ContentFilter"],
  ["cancelled", "Cancelled"],
  ["abort", "Cancelled"],
  ['error: no "x"', 'Error("no \\"x\\"")'],
  [{ error: "y" }, 'Error("y")'],
];

for (const [reason, name] of REASONS) {
  test(`the finish reason ${JSON.stringify(reason)} is called ${name}`, async () => {
    const { span } = await play([{ token_ids: [], finish_reason: reason }]);
    assert.equal(span.attributes.finish_reason, name);
    assert.equal(span.attributes.cancelled, false);
  });
}

test("an engine that ends a cancelled stream in order is cancelled, not dropped", async () => {
  const { span } = await play([chunk.tokens([1]), "cancel", chunk.cancelled(usage(13, 1))]);
  assert.deepEqual([span.attributes.cancelled, span.attributes.finish_reason], [true, "Cancelled"]);
  assert.equal(span.status.code, 0);
});

test("tokens of the prompt that were cached are told", async () => {
  const cached = { ...usage(13, 1), prompt_tokens_details: { cached_tokens: 8 } };
  assert.equal((await play([chunk.stop(cached, [1])])).span.attributes.cached_tokens, "8");
  assert.equal("cached_tokens" in (await play([chunk.stop(usage(13, 1))])).span.attributes, false);
});

test("the first chunk with tokens says where it comes from, and no other", async () => {
  const first = chunk.tokens([1]);
  const { span, passed } = await play([chunk.tokens([]), first, chunk.tokens([2]), chunk.stop()]);
  const { traceId, spanId } = span.spanContext();
  assert.deepEqual(passed.map((one) => one.worker_trace_link), [
    undefined,
    { trace_id: traceId, span_id: spanId },
    undefined,
    undefined,
  ]);
  assert.equal("worker_trace_link" in first, false, "the engine's own object is left alone");
});

for (const role of ["prefill", "encode", "decode", "aggregated"] as const) {
  const handsOver = role === "prefill" || role === "encode";
  test(`the last chunk of a worker of role ${role} says so ${handsOver ? "as well" : "not"}`, async () => {
    for (const steps of [[chunk.stop()], [chunk.tokens([1]), chunk.stop()]]) {
      const { passed } = await play(steps, { role });
      assert.equal(passed.at(-1)!.worker_trace_link !== undefined, handsOver);
    }
  });
}

test("an engine that throws instead of giving a stream has failed to set up", () => {
  using recording = recordSpans();
  const payload = openTracing()!.begin("handle_payload", {}, {}) as TraceSpan;
  const span = new GenerateSpan(payload, parseRequest({ token_ids: [1] }), "aggregated", () => 0);
  const error = new DynamoError("Unknown", "no");
  assert.throws(() =>
    span.read(() => {
      throw error;
    }), error);
  span.fail(error);
  span.end();
  span.end();
  const { attributes, status } = recording.span("engine.generate");
  assert.deepEqual([attributes.error_kind, status.message], ["setup_failed", "setup_failed"]);
});

test("what is no chunk passes, for the validator to refuse", async () => {
  for (const odd of [null, undefined, true, {}, { token_ids: null }]) {
    const { passed } = await play([odd as unknown as GenerateChunk, chunk.stop()]);
    assert.equal(passed[0], odd);
  }
});

test("an iterator without a return() has none when traced either, and a synchronous one will do", async () => {
  using _recording = recordSpans();
  const payload = openTracing()!.begin("handle_payload", {}, {}) as TraceSpan;
  const span = new GenerateSpan(payload, parseRequest({ token_ids: [1] }), "aggregated", () => 0);
  const plain = span.read(() => ({ next: () => Promise.resolve({ done: true, value: undefined }) }));
  assert.equal(plain.return, undefined);
  assert.equal((await plain.next()).done, true);
  const first = await span.read(() => [chunk.stop()][Symbol.iterator]()).next();
  assert.equal((first.value as GenerateChunk).finish_reason, "stop");
});
