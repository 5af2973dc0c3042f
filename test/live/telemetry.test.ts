/**
 * Traces of requests through Dynamo's own frontend: it and our worker export to one collector, and the spans of both are
 * one tree, as in the capture of Dynamo's own workers.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { type Collector, type ExportedSpan, openCollector } from "../support/otlp_collector.ts";
import { notTwice, requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort } from "../support/processes.ts";
import type { Runtime } from "../support/runtimes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";
import { type CapturedSpan, capturedSpans, shape } from "../support/trace_rig.ts";

const MODEL = TINY_MODEL;
const CALLER = "00f067aa0ba902b7";

function otlp(service: string, endpoint: string): Record<string, string> {
  return {
    OTEL_EXPORT_ENABLED: "1",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_SERVICE_NAME: service,
    OTEL_BSP_SCHEDULE_DELAY: "200",
  };
}

/** Asks within a trace of the client's own; gives the trace id. */
async function ask(frontend: Frontend, trace: number, body = chat(MODEL, "hi", { max_tokens: 4 })): Promise<string> {
  const traceId = `4bf92f3577b34da6a3ce929d0e0e4${trace.toString().padStart(3, "0")}`;
  const response = await fetch(frontend.url + CHAT, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-request-id": "my-req-1",
      traceparent: `00-${traceId}-${CALLER}-01`,
    },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
  return traceId;
}

/** The four spans of one leg, from the client's request to the engine, each the child of the one before. */
async function branch(collector: Collector, service: string, traceId: string): Promise<ExportedSpan[]> {
  const generate = await collector.span("engine.generate", service, traceId);
  const payload = await collector.span("handle_payload", service, traceId);
  await collector.span("http-request", "frontend", traceId);
  const routes = () => collector.spans.find(({ spanId }) => spanId === payload.parentId);
  const route = routes() ?? assert.fail("the frontend's span of the route is missing");
  const request = await collector.span("http-request", "frontend", traceId);
  assert.equal(generate.parentId, payload.spanId);
  assert.equal(route.name, "router.route_request");
  assert.equal(route.parentId, request.spanId);
  assert.equal(request.parentId, CALLER);
  return [request, route, payload, generate];
}

function captured(name: string, role?: string): CapturedSpan {
  const found = capturedSpans().served.find((one) =>
    one.name === name && (role === undefined || one.attrs.disagg_role === role)
  );
  return found ?? assert.fail(`no captured span ${name}`);
}

const WAYS: readonly [what: string, runtime: Runtime, env: Record<string, string>][] = [
  ["the SDK on Bun", "bun", {}],
  ["the SDK on Deno", "deno", {}],
  ["Deno's own exporter", "deno", { OTEL_DENO: "true" }],
];

for (const [i, [what, runtime, env]] of WAYS.entries()) {
  const skip = notTwice("it names the runtime itself");
  test(`a chat is one trace, from the frontend to the engine: ${what}`, { timeout: 120_000, skip }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("telemetry");
    await using collector = await openCollector();
    await using frontend = await startFrontend(store, otlp("frontend", collector.endpoint));
    await using _worker = await startReadyStator(store, {
      runtime,
      env: { ...otlp("worker", collector.endpoint), ...env },
    });
    await frontend.listed(MODEL);
    const traceId = await ask(frontend, i);
    const [, , payload, generate] = await branch(collector, "worker", traceId);
    assert.deepEqual(shape(payload!.attributes), shape(captured("handle_payload").attrs));
    assert.deepEqual([payload!.kind, payload!.events], [2, ["request received", "request completed"]]);
    const { migration_trace_id: _trace, migration_span_id: _span, ...attrs } =
      captured("engine.generate", "decode").attrs;
    assert.deepEqual(shape(generate!.attributes), shape(attrs));
    const { model, disagg_role, output_tokens, finish_reason, cancelled } = generate!.attributes;
    assert.deepEqual([model, disagg_role, output_tokens, finish_reason, cancelled], [
      MODEL,
      "agg",
      "4",
      "Length",
      false,
    ]);
    assert.equal(generate!.kind, 1);
    const child = await collector.span("sample.tokens", "worker", traceId);
    assert.equal(child.parentId, generate!.spanId);
    assert.equal(child.attributes.prompt_len, Number(generate!.attributes.input_tokens));
  });
}

test("a decode worker's span links to that of the prefill worker", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("telemetry-disagg");
  await using collector = await openCollector();
  await using frontend = await startFrontend(store, otlp("frontend", collector.endpoint));
  const start = (role: string) =>
    startReadyStator(store, {
      args: ["--disaggregation-mode", role, "--component", role],
      env: otlp(role, collector.endpoint),
    });
  await using _prefill = await start("prefill");
  await using _decode = await start("decode");
  await frontend.listed(MODEL);
  const traceId = await ask(frontend, 100);
  const [prefill, decode] = [
    (await branch(collector, "prefill", traceId))[3]!,
    (await branch(collector, "decode", traceId))[3]!,
  ];
  assert.deepEqual(decode.links, [{ traceId, spanId: prefill.spanId }]);
  assert.deepEqual(shape(decode.attributes), shape(captured("engine.generate", "decode").attrs));
  assert.deepEqual(shape(prefill.attributes), shape(captured("engine.generate", "prefill").attrs));
});

test("a worker whose collector is gone serves, says so once, and ends in order", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("telemetry-gone");
  const nowhere = otlp("worker", `http://127.0.0.1:${await freePort()}`);
  await using frontend = await startFrontend(store, nowhere);
  await using worker = await startReadyStator(store, {
    env: { ...nowhere, DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0" },
  });
  await frontend.listed(MODEL);
  for (let i = 0; i < 3; i++) await ask(frontend, 200 + i);
  worker.signal("SIGTERM");
  assert.equal((await worker.exit(30_000)).code, 0);
  assert.equal(worker.output().match(/Traces cannot be exported/g)?.length, 1, worker.output());
});
