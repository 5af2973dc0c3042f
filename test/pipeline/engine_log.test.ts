/** What engines log, over the worker's log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog, type LogOptions, SILENT } from "../../src/observe/log.ts";
import { ActiveRequest } from "../../src/pipeline/active_request.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { createEngineLog } from "../../src/pipeline/engine_log.ts";
import { FakeClock } from "../support/fake_clock.ts";

const TRACEPARENT = "00-349608fc8dd53dba7c567d8802c94f4f-f3322e3cc3cc99a3-01";
const LEVELS = ["debug", "info", "warn", "error"] as const;

function recording(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line), ...options });
  return { log, lines };
}

/** A request as a frontend sends it. */
function activeRequest(log = SILENT, headers: Record<string, string> = { traceparent: TRACEPARENT }): ActiveRequest {
  const head = { id: "r-1", metadata: {} } as ConstructorParameters<typeof ActiveRequest>[0];
  return new ActiveRequest(head, headers, createEngineClock(new FakeClock()), log);
}

test("each level of an engine's log is that of the worker's; the methods need no this", () => {
  const { log, lines } = recording();
  const engineLog = createEngineLog(log);
  for (const level of LEVELS) {
    const say = engineLog[level];
    say("said", { level });
    say("said without fields");
  }
  assert.deepEqual(lines.map((line) => line.replace(/^\S+ +/, "")), [
    ...["DEBUG said level=debug", "DEBUG said without fields", "INFO said level=info", "INFO said without fields"],
    ...["WARN said level=warn", "WARN said without fields", "ERROR said level=error", "ERROR said without fields"],
  ]);
});

test("a request's log writes the ids that the worker's own lines about it have, and nothing replaces them", () => {
  const { log, lines } = recording({ format: "jsonl" });
  const request = activeRequest(log, { traceparent: TRACEPARENT, "x-request-id": "mine" });
  request.log.info("of the engine", { request_id: "forged", tokens: 3 });
  log.info("of the worker", { tokens: 3 }, request);
  const [ours, theirs] = lines.map((line) => ({ ...JSON.parse(line), message: "" }));
  assert.deepEqual(ours, theirs);
  assert.equal(ours.request_id, "r-1");
  assert.equal(ours.trace_id, "349608fc8dd53dba7c567d8802c94f4f");
  assert.equal(request.log, request.log, "made once");
});

test("a line of a request names the span that the request has by then", () => {
  const { log, lines } = recording();
  const request = activeRequest(log);
  const logSpan = { name: "handle_payload", traceId: "a".repeat(32), spanId: "b".repeat(16) };
  request.log.info("before");
  request.trace = { logSpan } as NonNullable<ActiveRequest["trace"]>;
  request.log.info("after");
  assert.deepEqual(lines.map((line) => line.includes(`span_id=${logSpan.spanId}`)), [false, true]);
});

test("what is not shown looks at nothing that it is given", () => {
  const fields = new Proxy({}, { get: () => assert.fail("a field was read"), ownKeys: () => assert.fail("listed") });
  const { log, lines } = recording({ filter: "off", wallTime: () => assert.fail("the clock was read") });
  const request = activeRequest(log);
  Object.defineProperty(request, "incoming", { get: () => assert.fail("the request was read") });
  for (const level of LEVELS) {
    request.log[level]("m", fields);
    createEngineLog(log)[level]("m", fields);
  }
  assert.deepEqual(lines, []);
});

test("no call fails because of what it is given", () => {
  const { log, lines } = recording();
  const broken = {
    get a(): never {
      throw new Error("no");
    },
    b: 1n,
  };
  for (const one of [createEngineLog(log), activeRequest(log).log]) {
    one.error("a field fails", broken);
    one.error("no fields", null as never);
    one.error(new Error("no text") as never);
  }
  assert.equal(lines.length, 6);
  assert.match(lines[0]!, /a="Error: no" b=1$/);
  assert.match(lines[4]!, /no fields unprintable=.* request_id=r-1 /);
  assert.match(lines[5]!, /Error: no text.* request_id=r-1 /);
});
