/** A request's whole way through a worker over real sockets, seen from a frontend that checks the bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chunk, usage } from "../../src/protocol/output.ts";
import { decodeMsgpack, encodeText } from "../../src/protocol/payload.ts";
import { answer, FINAL, handshake, item, PROLOGUE_OK, read, SENTINEL, twoTokens } from "../support/answers.ts";
import { FakeClock } from "../support/fake_clock.ts";
import type { RawRequestOptions } from "../support/raw_frontend.ts";
import { eventually, probeEngine, startRig } from "../support/worker_rig.ts";

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

test("a request keeps its members after its answer, whatever comes next on the connection", async () => {
  const { engine, probe } = probeEngine(twoTokens);
  await using rig = await startRig(engine);
  for (const token of [7, 8, 9]) {
    const body = { token_ids: new Uint8Array(Uint32Array.of(token).buffer), stop_conditions: { stop: [`s${token}`] } };
    await (await rig.send({ codec: "msgpack", body })).whole();
  }
  const kept = probe.seen.map(({ request }) => [[...request.token_ids], request.stop_conditions.stop]);
  assert.deepEqual(kept, [[[7], ["s7"]], [[8], ["s8"]], [[9], ["s9"]]]);
});

test("the context holds id, metadata and trace headers", async () => {
  const { probe } = await answer(twoTokens, {
    head: { metadata: { tenant: "acme" } },
    headers: { traceparent: "00-ab-cd-01", "x-request-id": "x", cookie: "secret" },
  });
  const { ctx } = probe.seen[0]!;
  assert.equal(ctx.id, "r");
  assert.deepEqual(ctx.metadata, { tenant: "acme" });
  assert.deepEqual(ctx.traceHeaders(), { traceparent: "00-ab-cd-01", "request-id": "r", "x-request-id": "x" });
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
const REFUSED: readonly [
  what: string,
  options: RawRequestOptions,
  says: RegExp,
][] = [
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
  const ids = frames.slice(2, -3).map((
    { body },
  ) => (decodeMsgpack(body) as { data: { data: { token_ids: number[] } } }))
    .map(({ data }) => data.data.token_ids[0]);
  assert.equal(ids.length, total);
  assert.ok(ids.every((id, i) => id === i));
});
