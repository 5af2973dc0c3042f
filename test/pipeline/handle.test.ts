/** A request's whole way through a worker over real sockets, seen from a frontend that checks the bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DynamoError, type ErrorKind } from "../../src/protocol/error.ts";
import { chunk, type GenerateChunk, usage } from "../../src/protocol/output.ts";
import { decodeMsgpack, encodeText } from "../../src/protocol/payload.ts";
import { FakeClock } from "../support/fake_clock.ts";
import type { RawFrame } from "../support/raw_frontend.ts";
import { eventually, type Generate, probeEngine, startRig } from "../support/worker_rig.ts";

const PROLOGUE_OK = '{"error":null}';
const SENTINEL = '"sentinel"';
const FINAL = { complete_final: true };

/** Bodies and headers of a whole response, decoded. */
function read(frames: readonly RawFrame[], codec: "json" | "msgpack" = "json"): unknown[] {
  return frames.map(({ header, body }) => {
    if (body.length === 0) return header;
    assert.equal(header, "");
    return codec === "json" ? JSON.parse(new TextDecoder().decode(body)) : decodeMsgpack(body);
  });
}

const handshake = (subject: string) => JSON.stringify({ subject, stream_type: "response" });

/** The item of a chunk with all fields that a worker writes. */
function item(token_ids: number[], more: Record<string, unknown> = {}): unknown {
  const empty = { tokens: null, text: null, output_type: "text", cum_log_probs: null, log_probs: null, top_logprobs: null };
  return { data: { data: { token_ids, ...empty, finish_reason: null, index: 0, ...more } }, complete_final: false };
}

function errorItem(kind: ErrorKind, class_: string, reason: string, message: string, more: object = {}): unknown {
  const error = { error_type: { Backend: kind }, class: class_, reason, message, diagnostic: message, ...more };
  return { data: { event: "error", error }, complete_final: false };
}

/** Two tokens, then the end. */
const twoTokens: Generate = async function* () {
  yield chunk.tokens([1]);
  await Promise.resolve();
  yield chunk.tokens([70_000]);
  yield chunk.stop(usage(3, 2));
};

async function answer(generate: Generate, options: Parameters<Awaited<ReturnType<typeof startRig>>["send"]>[0] = {}) {
  const { engine, probe } = probeEngine(generate);
  await using rig = await startRig(engine);
  const call = await rig.send({ id: "r", subject: "s", ...options });
  const frames = read(await call.whole(), options.codec);
  await eventually("the generator to end", () => probe.open === 0);
  return { frames, probe, acks: rig.link.acks, lines: rig.lines };
}

test("a request is accepted, called home for, opened, answered and closed, byte for byte", async () => {
  const { frames, probe, acks } = await answer(twoTokens);
  assert.deepEqual(acks, [""]);
  assert.deepEqual(frames, [
    handshake("s"),
    PROLOGUE_OK,
    item([1]),
    item([70_000]),
    item([], { finish_reason: "stop", completion_usage: usage(3, 2) }),
    FINAL,
    SENTINEL,
  ]);
  assert.deepEqual([...probe.seen[0]!.request.token_ids], [1, 2, 3]);
  assert.deepEqual(probe.aborts, []);
  assert.equal(probe.seen[0]!.ctx.signal.aborted, false);
});

test("JSON and MessagePack requests on one connection are answered each in kind", async () => {
  const { engine } = probeEngine(twoTokens);
  await using rig = await startRig(engine);
  const codecs = ["json", "msgpack", "json", "msgpack"] as const;
  for (const [i, codec] of codecs.entries()) rig.link.write(rig.frame({ id: `r${i}`, codec }));
  for (const [i, codec] of codecs.entries()) {
    const frames = await (await rig.frontend.call(`r${i}`)).whole();
    assert.deepEqual(read(frames, codec).slice(2, 4), [item([1]), item([70_000])]);
    if (codec === "msgpack") assert.deepEqual([...frames.at(-2)!.body.subarray(0, 2)], [0x81, 0xae]);
  }
  assert.deepEqual(rig.link.acks, ["", "", "", ""]);
});

test("a request without a codec is JSON", async () => {
  const { frames } = await answer(twoTokens, { head: { payload_codec: undefined } });
  assert.deepEqual(frames[2], item([1]));
});

test("packed token ids reach the engine as numbers", async () => {
  const body = { token_ids: new Uint8Array(Uint32Array.of(5, 400_000).buffer), stop_conditions: { max_tokens: 7 } };
  const { probe } = await answer(twoTokens, { codec: "msgpack", body });
  assert.deepEqual([...probe.seen[0]!.request.token_ids], [5, 400_000]);
  assert.equal(probe.seen[0]!.request.stop_conditions.max_tokens, 7);
});

test("the context holds id, metadata and trace headers", async () => {
  const { probe } = await answer(twoTokens, {
    head: { metadata: { tenant: "acme" } },
    headers: { traceparent: "00-ab-cd-01", "x-request-id": "x", cookie: "secret" },
  });
  const { ctx } = probe.seen[0]!;
  assert.equal(ctx.id, "r");
  assert.deepEqual(ctx.metadata, { tenant: "acme" });
  assert.deepEqual(ctx.traceHeaders, { traceparent: "00-ab-cd-01", "request-id": "r", "x-request-id": "x" });
});

test("two requests with one id run side by side and never cross", async () => {
  const { engine, probe } = probeEngine(async function* (request, ctx) {
    for (let i = 0; i < 20; i++) {
      await ctx.clock.nextTurn();
      yield chunk.tokens([request.token_ids[0]!]);
    }
    yield chunk.stop();
  });
  await using rig = await startRig(engine);
  for (const token of [7, 8]) {
    rig.link.write(rig.frame({ id: "same", subject: `s${token}`, body: { token_ids: [token], stop_conditions: {} } }));
  }
  const [seven, eight] = await Promise.all([rig.frontend.call("s7"), rig.frontend.call("s8")]);
  for (const [call, token] of [[seven, 7], [eight, 8]] as const) {
    const items = read(await call.whole()).slice(2, 22);
    assert.deepEqual(items, Array.from({ length: 20 }, () => item([token])));
  }
  assert.equal(probe.seen.length, 2);
});

test("a kill of one of two requests with one id ends only that one", async () => {
  const { engine, probe } = probeEngine(async function* (request, ctx) {
    yield chunk.tokens([request.token_ids[0]!]);
    await ctx.clock.sleepUntil(ctx.clock.now() + (request.token_ids[0] === 7 ? 60_000 : 50), ctx.signal);
    yield chunk.stop();
  });
  await using rig = await startRig(engine);
  for (const token of [7, 8]) {
    rig.link.write(rig.frame({ id: "same", subject: `s${token}`, body: { token_ids: [token], stop_conditions: {} } }));
  }
  const [seven, eight] = await Promise.all([rig.frontend.call("s7"), rig.frontend.call("s8")]);
  await seven.framed(3);
  seven.say("kill");
  assert.equal((await eight.whole()).at(-1)?.header, SENTINEL);
  await eventually("both generators to end", () => probe.open === 0);
  assert.deepEqual(probe.aborts, ["same"]);
});

// What can be refused before it is accepted

const { engine: echo, probe: echoProbe } = probeEngine(twoTokens);
const REFUSED: readonly [what: string, options: Parameters<Awaited<ReturnType<typeof startRig>>["frame"]>[0], says: RegExp][] = [
  ["an envelope that is none", { payload: encodeText("not an envelope at all, really") }, /envelope/],
  ["an empty payload", { payload: new Uint8Array(0) }, /envelope/],
  ["a bidirectional envelope", { head: { request_type: "many_in" } }, /many_in/],
  ["a control header without connection_info", { head: { connection_info: undefined } }, /connection_info/],
  ["a context that is not the id", { info: { context: "other" } }, /context/],
  ["a stream type that is not response", { info: { stream_type: "request" } }, /stream type/],
  ["the quic response plane", { transport: "quic-response" }, /quic-response/],
  ["an unknown codec", { head: { payload_codec: "cbor" } }, /cbor/],
  ["a request without an id", { head: { id: undefined } }, /id/],
  ["an address that is none", { info: { address: "worker.example.com" } }, /address/],
];

for (const [what, options, says] of REFUSED) {
  test(`${what} is refused on the acknowledgement, and the connection goes on`, async () => {
    await using rig = await startRig(echo);
    const before = echoProbe.seen.length;
    rig.link.write(rig.frame(options), rig.frame({ id: "good" }));
    const [refusal, accepted] = await rig.link.acked(2);
    assert.ok(refusal!.startsWith("Server unavailable: "), refusal);
    assert.match(refusal!, says);
    assert.equal(accepted, "");
    await (await rig.frontend.call("good")).whole();
    assert.equal(rig.frontend.calls.length, 1);
    assert.equal(echoProbe.seen.length, before + 1);
  });
}

test("a request beyond limit and queue is refused as overloaded, and those inside are served in order", async () => {
  const release = Promise.withResolvers<void>();
  const { engine, probe } = probeEngine(async function* () {
    await release.promise;
    yield chunk.stop();
  });
  await using rig = await startRig(engine, { worker: { engineRequestLimit: 2, requestQueueLimit: 2 } });
  for (let i = 0; i < 6; i++) rig.link.write(rig.frame({ id: `r${i}` }));
  const overloaded = "Server overloaded: worker at capacity";
  assert.deepEqual(await rig.link.acked(6), ["", "", "", "", overloaded, overloaded]);
  await eventually("two requests to run", () => probe.seen.length === 2);
  assert.equal(rig.frontend.calls.length, 2);
  assert.equal(await rig.metric("dynamo_engine_request"), 2);
  assert.equal(await rig.metric("dynamo_request_queue"), 2);
  assert.equal(await rig.metric("dynamo_rejection_request_total"), 2);
  release.resolve();
  for (let i = 0; i < 4; i++) await (await rig.frontend.call(`r${i}`)).whole();
  assert.deepEqual(probe.seen.map(({ ctx }) => ctx.id), ["r0", "r1", "r2", "r3"]);
  await eventually("nobody inside", async () => await rig.metric("dynamo_engine_request") === 0);
  assert.equal(await rig.metric("dynamo_component_inflight_requests"), 0);
});

// Failures

const BAD_BODIES: readonly [what: string, options: object][] = [
  ["a body that is not JSON", { bodyBytes: encodeText("{") }],
  ["a body that is not MessagePack", { codec: "msgpack", bodyBytes: Uint8Array.of(0xc1) }],
  ["an empty body", { bodyBytes: new Uint8Array(0) }],
  ["a body without token_ids", { body: { stop_conditions: {} } }],
  ["a body with a fractional token id", { body: { token_ids: [1.5], stop_conditions: {} } }],
  ["a body with a negative token id", { body: { token_ids: [-1], stop_conditions: {} } }],
  ["a body that is a list", { body: [1, 2] }],
];

for (const [what, options] of BAD_BODIES) {
  test(`${what} is refused by the prologue as an invalid request, and the engine never hears of it`, async () => {
    const { frames, probe, acks } = await answer(twoTokens, options);
    assert.deepEqual(acks, [""]);
    assert.equal(frames.length, 2);
    const { error, typed_error } = JSON.parse(frames[1] as string);
    assert.equal(error, typed_error.message);
    assert.deepEqual(
      [typed_error.class, typed_error.reason, typed_error.public.message],
      ["InvalidRequest", "backend.invalid_argument", error],
    );
    assert.equal(probe.seen.length, 0);
  });
}

const throwing = (error: unknown, before: readonly GenerateChunk[] = []): Generate =>
  async function* () {
    yield* before;
    await Promise.resolve();
    throw error;
  };

test("InvalidArgument before the first chunk goes into the prologue", async () => {
  const { frames } = await answer(throwing(new DynamoError("InvalidArgument", "no such tool")));
  assert.deepEqual(frames, [
    handshake("s"),
    JSON.stringify({
      error: "no such tool",
      typed_error: {
        error_type: { Backend: "InvalidArgument" },
        class: "InvalidRequest",
        reason: "backend.invalid_argument",
        message: "no such tool",
        diagnostic: "no such tool",
        public: { type: "message", message: "no such tool" },
      },
    }),
  ]);
});

test("any other error before the first chunk is an error item behind a good prologue", async () => {
  const { frames } = await answer(throwing(new TypeError("boom")));
  assert.deepEqual(frames, [
    handshake("s"),
    PROLOGUE_OK,
    errorItem("Unknown", "Internal", "backend.unknown", "TypeError: boom"),
    FINAL,
    SENTINEL,
  ]);
});

for (const [kind, class_, reason] of [
  ["Cancelled", "Cancelled", "backend.cancelled"],
  ["EngineShutdown", "Unavailable", "backend.engine_shutdown"],
  ["ResponseTimeout", "DeadlineExceeded", "backend.response_timeout"],
] as const) {
  test(`${kind} before the first chunk is an error item too`, async () => {
    const { frames } = await answer(throwing(new DynamoError(kind, "x")));
    assert.deepEqual(frames.slice(1), [PROLOGUE_OK, errorItem(kind, class_, reason, "x"), FINAL, SENTINEL]);
  });
}

test("a generate that throws at once, without being a generator, is an error item", async () => {
  const { engine } = probeEngine(twoTokens);
  await using rig = await startRig({
    ...engine,
    generate: () => {
      throw new Error("sync");
    },
  });
  const frames = read(await (await rig.send({ subject: "s" })).whole());
  assert.deepEqual(frames[2], errorItem("Unknown", "Internal", "backend.unknown", "Error: sync"));
});

test("an error after chunks is an error item behind them", async () => {
  const { frames } = await answer(throwing(new DynamoError("InvalidArgument", "late"), [chunk.tokens([1])]));
  assert.deepEqual(frames.slice(1), [
    PROLOGUE_OK,
    item([1]),
    errorItem("InvalidArgument", "InvalidRequest", "backend.invalid_argument", "late", {
      public: { type: "message", message: "late" },
    }),
    FINAL,
    SENTINEL,
  ]);
});

test("InvalidArgument that comes after the hold is an error item", async () => {
  const { frames } = await answer(async function* (_request, ctx) {
    await ctx.clock.sleepUntil(ctx.clock.now() + 250);
    if (ctx.signal.aborted) yield chunk.stop();
    throw new DynamoError("InvalidArgument", "late");
  });
  assert.equal(frames[1], PROLOGUE_OK);
  assert.equal(frames.length, 5);
});

test("what an engine throws after its terminal chunk is ignored", async () => {
  const { frames, probe } = await answer(async function* () {
    try {
      yield chunk.stop();
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw new Error("too late");
    }
  });
  assert.deepEqual(frames.slice(2), [item([], { finish_reason: "stop" }), FINAL, SENTINEL]);
  assert.equal(probe.closed, 1);
});

test("a chunk after the terminal one is never sent, and the generator is closed there", async () => {
  let went = false;
  const { frames, probe } = await answer(async function* () {
    yield chunk.length(undefined, [5]);
    went = true;
    yield chunk.tokens([6]);
  });
  assert.deepEqual(frames.slice(2), [item([5], { finish_reason: "length" }), FINAL, SENTINEL]);
  assert.equal(went, false);
  assert.equal(probe.closed, 1);
});

for (const [what, chunks] of [["yields nothing", []], ["ends without a terminal chunk", [chunk.tokens([1])]]] as const) {
  test(`an engine that ${what} is StreamIncomplete`, async () => {
    const { frames } = await answer(async function* () {
      yield* chunks;
    });
    const error = frames.at(-3) as { data: { error: { reason: string } } };
    assert.equal(error.data.error.reason, "backend.stream_incomplete");
    assert.equal(frames.length, 5 + chunks.length);
    assert.deepEqual(frames.slice(-2), [FINAL, SENTINEL]);
  });
}

const BAD_CHUNKS: readonly [what: string, value: unknown, kind: string][] = [
  ["no token_ids", { text: "x" }, "InvalidArgument"],
  ["a fractional id", { token_ids: [1.5] }, "InvalidArgument"],
  ["a negative id", { token_ids: [-1] }, "InvalidArgument"],
  ["an id of 2^32", { token_ids: [2 ** 32] }, "InvalidArgument"],
  ["a text as id", { token_ids: ["1"] }, "InvalidArgument"],
  ["a fractional id beside other fields", { token_ids: [1.5], text: "x" }, "InvalidArgument"],
  ["no object at all", null, "Unknown"],
  ["a number instead of a chunk", 7, "InvalidArgument"],
];

for (const codec of ["json", "msgpack"] as const) {
  for (const [what, value, kind] of BAD_CHUNKS) {
    test(`a chunk with ${what} ends the ${codec} stream with an error, and the engine's finally runs`, async () => {
      const { frames, probe } = await answer(async function* () {
        yield chunk.tokens([1]);
        yield value as GenerateChunk;
        yield chunk.tokens([2]);
        yield chunk.stop();
      }, { codec });
      assert.deepEqual(frames[2], item([1]));
      const { data } = frames[3] as { data: { event: string; error: { error_type: unknown; public?: unknown } } };
      assert.deepEqual([data.event, data.error.error_type, data.error.public], ["error", { Backend: kind }, undefined]);
      assert.deepEqual(frames.slice(4), [FINAL, SENTINEL]);
      assert.equal(probe.closed, 1);
    });
  }
}

// Time

test("the prologue does not wait for a slow first token", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(async function* (_request, ctx) {
    await ctx.clock.sleepUntil(5000, ctx.signal);
    yield chunk.stop();
  });
  await using rig = await startRig(engine, { platform: { clock } });
  const call = await rig.send();
  await eventually("the engine to begin", () => probe.open === 1);
  await clock.advance(49);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(call.frames.length, 1);
  await clock.advance(1);
  assert.equal((await call.framed(2))[1]!.header, PROLOGUE_OK);
  await clock.advance(5000);
  assert.equal((await call.whole()).length, 5);
});

test("the connection is closed when the frontend does not, 10 s after the sentinel", async () => {
  const clock = new FakeClock();
  const { engine } = probeEngine(twoTokens);
  await using rig = await startRig(engine, { platform: { clock } });
  const call = await rig.send();
  await call.when("the sentinel", () => call.frames.at(-1)?.header === SENTINEL);
  await clock.advance(9999);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(call.hasEnded || call.isClosed, false);
  await clock.advance(1);
  await call.over();
});

test("an engine that never awaits does not keep another request from being served", async () => {
  const { engine, probe } = probeEngine(async function* (request) {
    if (request.token_ids[0] === 7) { while (true) yield chunk.tokens([7]); }
    yield chunk.stop();
  });
  await using rig = await startRig(engine);
  const greedy = await rig.send({ body: { token_ids: [7], stop_conditions: {} } });
  greedy.keepsBytes = false;
  await greedy.when("tokens", () => greedy.received > 100_000);
  for (let i = 0; i < 3; i++) await (await rig.send()).whole();
  greedy.say("kill");
  await eventually("the greedy generator to end", () => probe.open === 0);
});

test("a frontend that stops reading stops the engine, and nothing is lost when it reads again", async () => {
  const total = 400_000;
  let yielded = 0;
  const { engine, probe } = probeEngine(async function* () {
    for (; yielded < total; yielded++) yield chunk.tokens([yielded]);
    yield chunk.stop();
  });
  await using rig = await startRig(engine);
  const call = await rig.send({ codec: "msgpack" });
  call.socket.pause();
  let before = -1;
  await eventually("the engine to stop", async () => {
    const isStill = yielded === before && yielded > 0;
    before = yielded;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return isStill;
  });
  assert.ok(yielded < total, "the engine was not held back");
  // Others are not held up.
  yielded = Math.min(yielded, total);
  assert.equal(probe.open, 1);
  call.socket.resume();
  const frames = await call.whole();
  const ids = frames.slice(2, -3).map(({ body }) => (decodeMsgpack(body) as { data: { data: { token_ids: number[] } } }))
    .map(({ data }) => data.data.token_ids[0]);
  assert.equal(ids.length, total);
  assert.ok(ids.every((id, i) => id === i));
});
