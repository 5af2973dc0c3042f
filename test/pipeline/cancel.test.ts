/** Every way in which a frontend gives a request up, or seems to, over real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestAborted } from "../../src/engine/context.ts";
import type { Net } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeTwoPart } from "../../src/protocol/frame.ts";
import { chunk } from "../../src/protocol/output.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import { read } from "../support/answers.ts";
import { FakeClock } from "../support/fake_clock.ts";
import type { RawCall } from "../support/raw_frontend.ts";
import { eventually, type Generate, type Probe, probeEngine, type Rig, startRig } from "../support/worker_rig.ts";

const NONE = new Uint8Array(0);

/** A token every few milliseconds until aborted, `count` at most. */
function paced(count: number): Generate {
  return async function* (_request, ctx) {
    for (let i = 0; i < count; i++) {
      yield chunk.tokens([i]);
      await ctx.clock.sleepUntil(ctx.clock.now() + 5, ctx.signal);
      if (ctx.signal.aborted) return yield chunk.cancelled();
    }
    yield chunk.stop();
  };
}

/** One token, then nothing until aborted. */
const silent: Generate = async function* (_request, ctx) {
  yield chunk.tokens([1]);
  await ctx.clock.sleepUntil(ctx.clock.now() + 600_000, ctx.signal);
  yield chunk.cancelled();
};

function reasonOf(probe: Probe, index = 0): string {
  const { reason } = probe.seen[index]!.ctx.signal;
  assert.ok(reason instanceof RequestAborted, String(reason));
  return reason.reason;
}

/** The engine was told once, its generator is over, and its place is free. */
async function assertGone(rig: Rig, probe: Probe, id: string): Promise<void> {
  await eventually("the generator to end", () => probe.open === 0);
  await eventually("the place to be free", async () => await rig.metric("dynamo_work_handler_pool_active_tasks") === 0);
  assert.deepEqual(probe.aborts, [id]);
  assert.equal(await rig.metric("dynamo_component_inflight_requests"), 0);
}

const frame = (header: string, body: Uint8Array = NONE) => encodeTwoPart(encodeText(header), body);
const oversized = frame('"kill"');
oversized.fill(0xff, 9, 16);

const WAYS: readonly [what: string, say: (call: RawCall) => void, reason: string][] = [
  ["kill", (call) => call.say("kill"), "kill"],
  ["stop", (call) => call.say("stop"), "stop"],
  ["kill with the FIN right behind it", (call) => (call.say("kill"), call.fin()), "kill"],
  ["kill, then stop, then kill", (call) => ["kill", "stop", "kill"].forEach((word) => call.say(word)), "kill"],
  ["stop, then kill", (call) => ["stop", "kill"].forEach((word) => call.say(word)), "stop"],
  ["a reset", (call) => call.reset(), "disconnect"],
  ["the word sentinel, which is none of a frontend's", (call) => call.say("sentinel"), "kill"],
  ["an unknown word", (call) => call.say("halt"), "kill"],
  ["a header that is not JSON", (call) => call.write(frame("kill")), "kill"],
  ["a frame with a body", (call) => call.write(frame('"stop"', Uint8Array.of(1))), "kill"],
  ["a frame of enormous length", (call) => call.write(oversized), "kill"],
];

for (const [what, say, reason] of WAYS) {
  test(`${what} mid-stream ends the request as ${reason}, and nothing more is written`, async () => {
    const { engine, probe } = probeEngine(silent);
    await using rig = await startRig(engine);
    const call = await rig.send({ id: "r" });
    await call.framed(3);
    say(call);
    await assertGone(rig, probe, "r");
    assert.equal(reasonOf(probe), reason);
    await call.over();
    assert.equal(call.frames.length, 3);
  });

  test(`${what} before the prologue ends the request as ${reason}`, async () => {
    const clock = new FakeClock(); // so that the prologue is held until then
    const { engine, probe } = probeEngine(async function* (_request, ctx) {
      await ctx.clock.sleepUntil(600_000, ctx.signal);
      yield chunk.cancelled();
    });
    await using rig = await startRig(engine, { platform: { clock } });
    const call = await rig.send({ id: "r" });
    await eventually("the engine to begin", () => probe.open === 1);
    say(call);
    await assertGone(rig, probe, "r");
    assert.equal(reasonOf(probe), reason);
    await call.over();
    assert.equal(call.frames.length, 1);
  });
}

test("kill in pieces of one byte is kill", async () => {
  const { engine, probe } = probeEngine(silent);
  await using rig = await startRig(engine);
  const call = await rig.send({ id: "r" });
  await call.framed(3);
  for (const byte of frame('"kill"')) {
    call.write(Uint8Array.of(byte));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await assertGone(rig, probe, "r");
  assert.equal(reasonOf(probe), "kill");
});

test("a frontend that is just gone is a disconnect as soon as a write fails", async () => {
  const { engine, probe } = probeEngine(paced(100_000));
  await using rig = await startRig(engine);
  const call = await rig.send({ id: "r" });
  await call.framed(3);
  call.socket.destroy();
  await assertGone(rig, probe, "r");
  assert.equal(reasonOf(probe), "disconnect");
  assert.equal(await rig.metric("dynamo_component_errors_total", 'error_type="publish_response"'), 1);
  assert.equal(await rig.metric("dynamo_component_cancellation_total"), 0);
});

test("kill and stop count as cancellations, not as errors", async () => {
  const { engine, probe } = probeEngine(silent);
  await using rig = await startRig(engine);
  for (const word of ["kill", "stop"]) {
    const call = await rig.send();
    await call.framed(3);
    call.say(word);
    await eventually("the generator to end", () => probe.open === 0);
  }
  await eventually("both to count", async () => await rig.metric("dynamo_component_cancellation_total") === 2);
  assert.equal(await rig.metric("dynamo_component_errors_total"), 0);
  assert.equal(await rig.metric("dynamo_component_requests_total"), 2);
});

test("a frontend that ends its side only goes on getting the answer, to the end", async () => {
  const { engine, probe } = probeEngine(paced(20));
  await using rig = await startRig(engine);
  const call = await rig.send();
  await call.framed(3);
  call.fin();
  await call.over();
  assert.ok(call.isWhole);
  assert.equal(call.frames.length, 2 + 20 + 3);
  assert.deepEqual(probe.aborts, []);
  assert.equal(probe.seen[0]!.ctx.signal.aborted, false);
});

test("a frontend that ends its side before the prologue still gets the whole answer", async () => {
  const { engine, probe } = probeEngine(paced(3));
  await using rig = await startRig(engine);
  const call = await rig.send();
  call.fin();
  await call.over();
  assert.ok(call.isWhole);
  assert.deepEqual(probe.aborts, []);
});

for (
  const [what, close] of [
    ["in order", (call: RawCall) => call.fin()],
    ["with a reset", (call: RawCall) => call.reset()],
    ["with a kill", (call: RawCall) => (call.say("kill"), call.fin())],
  ] as const
) {
  test(`a frontend that closes ${what} after the sentinel has not cancelled anything`, async () => {
    const { engine, probe } = probeEngine(paced(2));
    await using rig = await startRig(engine);
    const call = await rig.send();
    await call.when("the sentinel", () => call.isWhole);
    close(call);
    await call.closed();
    await eventually("the place to be free", async () => await rig.metric("dynamo_engine_request") === 0);
    assert.deepEqual(probe.aborts, []);
    assert.equal(await rig.metric("dynamo_component_errors_total"), 0);
    assert.equal(await rig.metric("dynamo_component_cancellation_total"), 0);
    assert.equal(rig.lines.some((line) => / (WARN|ERROR) /.test(line)), false, rig.lines.join("\n"));
  });
}

test("a loss of the request connection after its acknowledgement changes nothing for the answer", async () => {
  const { engine, probe } = probeEngine(paced(10));
  await using rig = await startRig(engine);
  const call = await rig.send();
  await call.framed(3);
  rig.link.reset();
  assert.equal((await call.whole()).length, 2 + 10 + 3);
  assert.deepEqual(probe.aborts, []);
});

test("abort() that throws or rejects harms nothing", async () => {
  for (
    const abort of [() => Promise.reject(new Error("async")), () => {
      throw new Error("sync");
    }]
  ) {
    const { engine, probe } = probeEngine(silent, { abort });
    await using rig = await startRig(engine);
    const call = await rig.send({ id: "r" });
    await call.framed(3);
    call.say("kill");
    await assertGone(rig, probe, "r");
    await eventually("a warning", () => rig.lines.some((line) => line.includes("engine.abort() failed")));
  }
});

test("an engine without abort() is cancelled by its signal alone", async () => {
  const { engine, probe } = probeEngine(silent);
  const { abort: _abort, ...deaf } = engine;
  await using rig = await startRig(deaf);
  const call = await rig.send();
  await call.framed(3);
  call.say("kill");
  await eventually("the generator to end", () => probe.open === 0);
});

test("an engine that goes on yielding after an abort is closed at its next chunk", async () => {
  let yielded = 0;
  const { engine, probe } = probeEngine(async function* (_request, ctx) {
    while (true) {
      yielded++;
      yield chunk.tokens([1]);
      await ctx.clock.nextTurn();
    }
  });
  await using rig = await startRig(engine);
  const call = await rig.send({ id: "r" });
  await call.framed(10);
  call.say("kill");
  await assertGone(rig, probe, "r");
  const after = yielded;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(yielded, after);
});

test("an engine that ignores an abort is detached after 2 s, and its place is given to the next", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(async function* (request) {
    if (request.token_ids[0] === 7) await new Promise(() => {});
    yield chunk.stop();
  });
  await using rig = await startRig(engine, { platform: { clock }, worker: { engineRequestLimit: 1 } });
  const deaf = await rig.send({ id: "deaf", body: { token_ids: [7], stop_conditions: {} } });
  rig.link.write(rig.frame({ id: "next" }));
  assert.deepEqual(await rig.link.acked(2), ["", ""]);
  deaf.say("kill");
  await eventually("the engine to be told", () => probe.aborts.length === 1);
  await deaf.over();
  await clock.advance(1999);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(probe.seen.length, 1);
  await clock.advance(1);
  const next = await rig.frontend.call("next");
  assert.ok((await next.whole()).length > 3);
  assert.ok(rig.lines.some((line) => line.includes("ignores an abort")));
  assert.equal(await rig.metric("stator_engine_abort_ignored_total"), 1);
  await eventually("nobody inside", async () => await rig.metric("dynamo_engine_request") === 0);
});

for (const tells of [true, false]) {
  test(`a decode engine is told of an abort ${tells ? "when it says so" : "with its first token"}`, async () => {
    const go = Promise.withResolvers<void>();
    const { engine, probe } = probeEngine(async function* () {
      await go.promise;
      yield chunk.tokens([1]);
    });
    await using rig = await startRig(engine, { worker: { disaggregationMode: "decode" } });
    const call = await rig.send();
    await eventually("the engine to be asked", () => probe.seen.length === 1);
    const { ctx } = probe.seen[0]!;
    call.say("kill");
    await call.over();
    await eventually("the signal", () => ctx.signal.aborted);
    assert.deepEqual(probe.aborts, []);
    if (tells) ctx.notifyFirstToken();
    else go.resolve();
    await eventually("the abort", () => probe.aborts.length === 1);
    go.resolve();
    await eventually("the end", () => probe.open === 0);
    assert.equal(probe.aborts.length, 1);
  });
}

test("a decode engine that ends before its first token never hears of an abort", async () => {
  const { engine, probe } = probeEngine(async function* (_request, { signal, clock }) {
    await clock.sleepUntil(Infinity, signal);
    yield chunk.cancelled();
  });
  await using rig = await startRig(engine, { worker: { disaggregationMode: "decode" } });
  const call = await rig.send();
  await eventually("the engine to be asked", () => probe.seen.length === 1);
  call.say("kill");
  await eventually("the end", () => probe.open === 0 && probe.closed === 1);
  assert.deepEqual(probe.aborts, []);
});

test("an answer that takes longer than the deadline fails as ResponseTimeout, and its engine is aborted", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(async function* (_request, ctx) {
    yield chunk.tokens([1]);
    await ctx.clock.sleepUntil(Infinity, ctx.signal);
    yield chunk.cancelled();
  });
  await using rig = await startRig(engine, { platform: { clock }, worker: { engineDeadlineSeconds: 7 } });
  const call = await rig.send();
  await call.framed(3);
  await clock.advance(6999);
  assert.deepEqual(probe.aborts, []);
  await clock.advance(1);
  const frames = read(await call.whole());
  const { data } = frames.at(-3) as { data: { error: { reason: string } } };
  assert.equal(data.error.reason, "backend.response_timeout");
  await eventually("the end", () => probe.open === 0);
  assert.equal(probe.aborts.length, 1);
  assert.equal(await rig.metric("stator_engine_deadline_exceeded_total"), 1);
});

test("an answer within the deadline leaves no timer", async () => {
  const clock = new FakeClock();
  const { engine } = probeEngine(paced(1));
  await using rig = await startRig(engine, { platform: { clock }, worker: { engineDeadlineSeconds: 7 } });
  const before = clock.pendingTimers;
  const call = await rig.send();
  await clock.advance(1000);
  await call.whole();
  await call.over();
  await eventually("the timers to go", () => clock.pendingTimers <= before);
  assert.equal(await rig.metric("stator_engine_deadline_exceeded_total"), 0);
});

// The way home

test("a dial-back that is refused frees the place; the engine never hears of the request", async () => {
  const { engine, probe } = probeEngine(paced(1));
  await using rig = await startRig(engine, { worker: { engineRequestLimit: 1, requestQueueLimit: 1 } });
  const server = await realPlatform.net.listen({ host: "127.0.0.1", port: 0 }, () => ({ data() {}, closed() {} }));
  const address = `127.0.0.1:${server.address.port}`;
  await server[Symbol.asyncDispose]();
  rig.link.write(rig.frame({ info: { address } }), rig.frame({ id: "next" }));
  assert.deepEqual(await rig.link.acked(2), ["", ""]);
  await (await rig.frontend.call("next")).whole();
  assert.deepEqual(probe.seen.map(({ ctx }) => ctx.id), ["next"]);
  assert.deepEqual(probe.aborts, []);
  assert.equal(await rig.metric("dynamo_component_errors_total", 'error_type="response_stream"'), 1);
  await eventually("nobody inside", async () => await rig.metric("dynamo_engine_request") === 0);
  assert.ok(rig.lines.some((line) => line.includes("WARN") && line.includes(address)));
});

test("a dial-back into a black hole is given up after the connect timeout, and frees the place", async () => {
  const clock = new FakeClock();
  const net: Net = {
    ...realPlatform.net,
    dial: (address, handlers, signal) =>
      address.port !== 9 ? realPlatform.net.dial(address, handlers, signal) : new Promise((_resolve, reject) => {
        signal!.addEventListener("abort", () => reject(signal!.reason));
      }),
  };
  for (const [connectTimeoutSeconds, ms] of [[undefined, 5000], [0.5, 500]] as const) {
    const { engine, probe } = probeEngine(paced(0));
    const worker = { engineRequestLimit: 1, ...(connectTimeoutSeconds === undefined ? {} : { connectTimeoutSeconds }) };
    await using rig = await startRig(engine, { platform: { clock, net }, worker });
    const timers = clock.pendingTimers;
    rig.link.write(rig.frame({ info: { address: "192.0.2.1:9" } }), rig.frame({ id: "next" }));
    await rig.link.acked(2);
    await clock.advance(ms - 1);
    assert.equal(rig.frontend.calls.length, 0);
    assert.equal(await rig.metric("dynamo_engine_request"), 1);
    await clock.advance(1);
    const next = await rig.frontend.call("next");
    await next.whole();
    await next.closed();
    assert.deepEqual(probe.seen.map(({ ctx }) => ctx.id), ["next"]);
    await eventually("no timer to be left", () => clock.pendingTimers === timers);
  }
});

test("a frontend that never says a word keeps nothing but its own stream", async () => {
  const { engine, probe } = probeEngine(silent);
  await using rig = await startRig(engine);
  const mute = await rig.send({ id: "mute" });
  await mute.framed(3);
  for (let i = 0; i < 5; i++) {
    const call = await rig.send({ id: `other-${i}` });
    await call.framed(3);
    call.say("kill");
    await call.over();
  }
  await eventually("one generator to be left", () => probe.open === 1);
  mute.say("kill");
  await eventually("no generator to be left", () => probe.open === 0);
});
