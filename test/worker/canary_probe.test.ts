import { untraced } from "../../src/engine/span.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleEngine } from "../../engines/sample.ts";
import { type GenerateContext, RequestAborted } from "../../src/engine/context.ts";
import type { Engine, JsonObject } from "../../src/engine/engine.ts";
import { createLog, SILENT } from "../../src/observe/log.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { chunk, type GenerateChunk } from "../../src/protocol/output.ts";
import { stringifyJson } from "../../src/protocol/payload.ts";
import { type GenerateRequest, isProbe } from "../../src/protocol/request.ts";
import { resolvePayload } from "../../src/worker/canary_payload.ts";
import {
  createProbe,
  type EngineRun,
  type ProbeParts,
  type ProbeResult,
  runProbe,
} from "../../src/worker/canary_probe.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { goldenText } from "../support/golden.ts";

const USUAL: JsonObject = {
  token_ids: [1],
  stop_conditions: { max_tokens: 1, ignore_eos: true },
  sampling_options: { temperature: 0 },
};
const GOOD: ProbeResult = { isHealthy: true };

interface Seen {
  readonly request: GenerateRequest;
  readonly context: GenerateContext;
}

/** An engine that answers with `generate`, and what it saw. */
function engineOf(generate: (seen: Seen) => AsyncIterable<GenerateChunk>, members: Partial<Engine> = {}) {
  const seen: Seen[] = [];
  const engine: Engine = {
    start: () => Promise.reject(),
    generate(request, context) {
      seen.push({ request, context });
      return generate({ request, context });
    },
    cleanup() {},
    ...members,
  };
  return { engine, seen };
}

async function* yields(...chunks: readonly GenerateChunk[]): AsyncGenerator<GenerateChunk> {
  for (const each of chunks) yield await Promise.resolve(each);
}

/** Probes with the usual payload; `clock` goes on for as long as the probe takes. */
async function probe(engine: Engine, parts: Partial<ProbeParts> = {}, control = new AbortController()) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const payload = resolvePayload({ value: parts.payload ?? USUAL }, engine, log)!;
  const send = createProbe({ engine, clock: createEngineClock(clock), engineLog: log, log, ...parts, payload });
  const sent = send(control.signal);
  await clock.advance(1000);
  return { result: await sent, lines, send };
}

test("what an engine gets is what Dynamo's engines get, from the usual payload", async () => {
  const { engine, seen } = engineOf(() => yields(chunk.length(undefined, [1])));
  await probe(engine);
  const golden = JSON.parse(goldenText("contract/requests/canary_probe.json"));
  // Our requests always have this member, so that engines need not ask for it.
  const expected = { ...golden, routing: {} };
  assert.deepEqual(JSON.parse(stringifyJson(seen[0]!.request)), expected);
  assert.ok(seen[0]!.request.token_ids instanceof Uint32Array);
  assert.equal(isProbe(seen[0]!.request), true);
});

test("a payload can set every member, also those that are filled in", async () => {
  const { engine, seen } = engineOf(() => yields(chunk.length(undefined, [1])));
  const payload = {
    token_ids: [7, 8],
    model: "named",
    router_config_override: { overlap_score_weight: 1 },
    routing: { dp_rank: 2 },
    bootstrap_info: { bootstrap_host: "fake", bootstrap_port: 1, bootstrap_room: 5 },
  };
  await probe(engine, { payload });
  const { request } = seen[0]!;
  assert.deepEqual(Array.from(request.token_ids), [7, 8]);
  assert.equal(request.model, "named");
  assert.deepEqual(request.router_config_override, { overlap_score_weight: 1 });
  assert.deepEqual(request.routing, { dp_rank: 2 });
  assert.equal(request.bootstrap_info?.bootstrap_room, 5n);
});

test("each probe has an id, a signal and a request of its own", async () => {
  const { engine, seen } = engineOf(({ request, context }) => {
    (request.stop_conditions as { max_tokens: number }).max_tokens = 99;
    context.log.info("asked");
    return yields(chunk.length(undefined, [1]));
  });
  const { send, lines } = await probe(engine);
  const second = new AbortController();
  await send(second.signal);
  assert.deepEqual(seen.map(({ context }) => context.id), ["health-check-1", "health-check-2"]);
  assert.deepEqual(lines.map((line) => line.split(" INFO ")[1]), [
    "asked request_id=health-check-1",
    "asked request_id=health-check-2",
  ]);
  assert.equal(seen[1]!.context.signal, second.signal);
  assert.notEqual(seen[0]!.context.signal, second.signal);
  assert.deepEqual([seen[0]!.context.metadata, seen[0]!.context.traceHeaders()], [{}, {}]);
  assert.equal(typeof seen[0]!.context.clock.sleepUntil, "function");
  assert.notEqual(seen[0]!.request, seen[1]!.request);
});

const answers: readonly (readonly [string, readonly GenerateChunk[], string | null])[] = [
  ["a token and its end in one chunk", [chunk.length(undefined, [1])], null],
  ["a token, then a stop", [chunk.tokens([1]), chunk.stop()], null],
  ["an empty chunk, a token, then a stop", [chunk.tokens([]), chunk.tokens([1]), chunk.stop()], null],
  ["the spelling eos", [{ token_ids: [1], finish_reason: "eos" }], null],
  ["a filtered end", [{ token_ids: [1], finish_reason: "content_filter" }], null],
  ["nothing", [], "no response"],
  [
    "tokens without an end",
    [chunk.tokens([1]), chunk.tokens([2])],
    "good first response, but the stream has no finish_reason",
  ],
  ["an end without tokens", [chunk.stop()], "good first response, but the answer ended (stop) without a token"],
  [
    "empty chunks and an end",
    [chunk.tokens([]), chunk.length()],
    "good first response, but the answer ended (length) without a token",
  ],
  ["an error at once", [chunk.error("out of memory")], "error response: out of memory"],
  ["an error after tokens", [chunk.tokens([1]), chunk.error("out of memory")], "error response: out of memory"],
  ["the spelling error: x", [{ token_ids: [1], finish_reason: "error: x" }], "error response: x"],
  ["the spelling error", [{ token_ids: [1], finish_reason: "error" }], "error response: error"],
  [
    "a cancel nobody asked for",
    [chunk.tokens([1]), chunk.cancelled()],
    "the engine cancelled the request, which nobody asked for",
  ],
  [
    "a reason that is none",
    [{ token_ids: [1], finish_reason: "done" as "stop" }],
    "the finish_reason is none of Dynamo's",
  ],
  [
    "a chunk without token_ids",
    [{ finish_reason: "stop" } as never],
    "good first response, but the answer ended (stop) without a token",
  ],
];
for (const [name, chunks, reason] of answers) {
  test(`an answer of ${name} is ${reason === null ? "healthy" : `not: ${reason}`}`, async () => {
    const { engine } = engineOf(() => yields(...chunks));
    assert.deepEqual((await probe(engine)).result, reason === null ? GOOD : { isHealthy: false, reason });
  });
}

const faults: readonly (readonly [string, () => AsyncIterable<GenerateChunk>, string | null])[] = [
  [
    "before its stream",
    () => {
      throw new Error("not loaded");
    },
    "request failed: Error: not loaded",
  ],
  [
    "before its first chunk",
    // deno-lint-ignore require-yield
    async function* () {
      throw await Promise.resolve(new DynamoError("EngineShutdown", "gone"));
    },
    "request failed: gone",
  ],
  [
    "between chunks",
    async function* () {
      yield* yields(chunk.tokens([1]));
      throw new RangeError("too far");
    },
    "request failed: RangeError: too far",
  ],
  [
    "after the end of its answer",
    async function* () {
      try {
        yield* yields(chunk.length(undefined, [1]));
      } finally {
        await Promise.reject(new Error("cannot tidy up"));
      }
    },
    null,
  ],
  ["by returning no stream", () => undefined as never, "request failed: "],
];
for (const [when, generate, reason] of faults) {
  test(`an engine that fails ${when} is ${reason === null ? "healthy, as for any request" : "not healthy"}`, async () => {
    const { result } = await probe(engineOf(generate).engine);
    if (reason === null) return assert.deepEqual(result, GOOD);
    assert.ok(!result.isHealthy && result.reason.startsWith(reason), JSON.stringify(result));
  });
}

test("a failure can also be the last item, as the pipeline has it", async () => {
  const run: EngineRun = async function* () {
    yield* yields(chunk.tokens([1]));
    yield new DynamoError("StreamIncomplete", "broke off");
    assert.fail("asked for more");
  };
  const { result } = await probe(engineOf(() => assert.fail("not the way")).engine, { run });
  assert.deepEqual(result, { isHealthy: false, reason: "error response: broke off" });
});

test("a payload that is no request fails, and the engine is not asked", async () => {
  const { engine, seen } = engineOf(() => yields());
  const { result } = await probe(engine, { payload: { prompt: "hello" } });
  assert.deepEqual(result, {
    isHealthy: false,
    reason: "request failed: token_ids must be an array of unsigned 32-bit integers",
  });
  assert.equal(seen.length, 0);
});

test("nothing is asked after the end, and the result waits until the engine has tidied up", async () => {
  const clock = createEngineClock(new FakeClock());
  const context: GenerateContext = {
    id: "health-check-1",
    signal: new AbortController().signal,
    metadata: {},
    ...untraced(),
    clock,
    log: SILENT,
    notifyFirstToken() {},
  };
  const steps: string[] = [];
  const run: EngineRun = async function* () {
    try {
      yield* yields(chunk.length(undefined, [1]));
      steps.push("asked for more");
    } finally {
      await Promise.resolve();
      steps.push("tidied up");
    }
  };
  steps.push(JSON.stringify(await runProbe(run, USUAL, context)));
  assert.deepEqual(steps, ["tidied up", JSON.stringify(GOOD)]);
});

test("abort() is called once if the probe is given up, never otherwise; its failure is a warning", async () => {
  const aborted: GenerateContext[] = [];
  const abort = (context: GenerateContext) => {
    aborted.push(context);
    throw new Error("scheduler gone");
  };
  const well = engineOf(() => yields(chunk.length(undefined, [1])), { abort });
  await probe(well.engine);
  assert.equal(aborted.length, 0);
  const control = new AbortController();
  const late = engineOf(async function* ({ context }) {
    control.abort(new RequestAborted("deadline"));
    if (context.signal.aborted) yield* yields(chunk.cancelled());
  }, { abort });
  const { lines } = await probe(late.engine, {}, control);
  assert.deepEqual(aborted, [late.seen[0]!.context]);
  assert.equal(lines.filter((line) => line.includes("WARN") && line.includes("scheduler gone")).length, 1);
});

for (const disaggregationMode of ["agg", "prefill", "decode", "encode"]) {
  test(`the sample engine passes as ${disaggregationMode}`, async () => {
    const engine = sampleEngine({ disaggregationMode });
    const { result } = await probe(engine, { needsToken: disaggregationMode !== "encode" });
    assert.deepEqual(result, GOOD);
  });
}

test("isProbe() takes true for the marker and nothing else", () => {
  const ask = (marker: unknown) => isProbe({ _HEALTH_CHECK: marker } as GenerateRequest);
  assert.deepEqual([true, false, "true", 1, null, undefined].map(ask), [true, false, false, false, false, false]);
  assert.equal(isProbe({} as GenerateRequest), false);
});
