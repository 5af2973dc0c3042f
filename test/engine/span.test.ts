import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_SPAN, untraced, writeHeaders } from "../../src/engine/span.ts";
import { fakeContext } from "../../src/testing/context.ts";

test("what is not traced passes its headers on and has spans that do nothing", () => {
  const tracing = untraced({ traceparent: "t", "request-id": "r" });
  const carrier: Record<string, string> = { accept: "x" };
  tracing.injectTrace(carrier);
  assert.deepEqual(carrier, { accept: "x", traceparent: "t", "request-id": "r" });
  assert.deepEqual(tracing.traceHeaders(), { traceparent: "t", "request-id": "r" });
  assert.equal(tracing.currentSpan(), NO_SPAN);
  assert.equal(tracing.startSpan("x").startSpan("y"), NO_SPAN);
});

test("a plain object may hold a header called set", () => {
  const carrier: Record<string, string> = { set: "1" };
  writeHeaders({ a: "b" }, carrier);
  assert.deepEqual(carrier, { set: "1", a: "b" });
});

test("a fake context has tracing that does nothing, and can be given headers", () => {
  const ctx = fakeContext();
  assert.deepEqual(ctx.traceHeaders(), {});
  using span = ctx.startSpan("x", { a: 1 });
  assert.equal(span.isRecording, false);
  assert.deepEqual(fakeContext(untraced({ traceparent: "t" })).traceHeaders(), { traceparent: "t" });
});
