/** Every way in which a request can fail inside the worker, and what the frontend reads then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DynamoError } from "../../src/protocol/error.ts";
import { chunk, type GenerateChunk } from "../../src/protocol/output.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import {
  answer,
  errorItem,
  FINAL,
  handshake,
  item,
  PROLOGUE_OK,
  read,
  SENTINEL,
  twoTokens,
} from "../support/answers.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { eventually, type Generate, probeEngine, startRig } from "../support/worker_rig.ts";

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

test("the worker ends the connection of a request that it refused", async () => {
  const { engine } = probeEngine(throwing(new DynamoError("InvalidArgument", "no")));
  await using rig = await startRig(engine, { platform: { clock: new FakeClock() } }); // so that no time-out does it
  const call = await rig.send();
  await call.framed(2);
  await call.over();
  assert.equal(call.frames.length, 2);
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

for (
  const [kind, class_, reason] of [
    ["Cancelled", "Cancelled", "backend.cancelled"],
    ["EngineShutdown", "Unavailable", "backend.engine_shutdown"],
    ["ResponseTimeout", "DeadlineExceeded", "backend.response_timeout"],
  ] as const
) {
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

test("the prologue of a prefill leg whose decode leg waits for it is not held, but what is bad at once is refused", async () => {
  const bootstrap_info = { bootstrap_host: "h", bootstrap_port: 1, bootstrap_room: 1 };
  const meeting = { body: { token_ids: [1], bootstrap_info } };
  const prefill = { disaggregationMode: "prefill" } as const;
  const late: Generate = async function* (_request, ctx) {
    await ctx.clock.sleepUntil(ctx.clock.now() + 20);
    if (ctx.signal.aborted) yield chunk.stop();
    throw new DynamoError("InvalidArgument", "late");
  };
  const first = async (...args: Parameters<typeof answer>) => (await answer(...args)).frames[1];
  assert.equal(await first(late, meeting, prefill), PROLOGUE_OK);
  assert.notEqual(await first(late, meeting), PROLOGUE_OK);
  assert.notEqual(await first(throwing(new DynamoError("InvalidArgument", "bad")), meeting, prefill), PROLOGUE_OK);
});

test("what an engine throws after its terminal chunk is ignored", async () => {
  const { engine, probe } = probeEngine(async function* () {
    try {
      yield chunk.stop();
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw new Error("too late");
    }
  });
  await using rig = await startRig(engine);
  const frames = read(await (await rig.send()).whole());
  await eventually("the log to tell", () => rig.lines.some((line) => line.includes("too late")));
  assert.equal(await rig.metric("dynamo_component_errors_total"), 0);
  assert.deepEqual(frames.slice(2), [item([], { finish_reason: "stop" }), FINAL, SENTINEL]);
  assert.equal(probe.closed, 1);
});

test("a chunk after the terminal one is never sent, and the generator is closed there", async () => {
  let went = false;
  const { frames, probe } = await answer(
    async function* () {
      yield chunk.length(undefined, [5]);
      went = true;
      yield chunk.tokens([6]);
    },
    {},
    { validate: "warn" },
  );
  assert.deepEqual(frames.slice(2), [item([5], { finish_reason: "length" }), FINAL, SENTINEL]);
  assert.equal(went, false);
  assert.equal(probe.closed, 1);
});

for (
  const [what, chunks] of [["yields nothing", []], ["ends without a terminal chunk", [chunk.tokens([1])]]] as const
) {
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

test("a chunk that cannot be encoded is counted as such", async () => {
  const { engine } = probeEngine(async function* () {
    yield { text: "x" } as unknown as GenerateChunk;
  });
  await using rig = await startRig(engine, { worker: { validate: "off" } });
  await (await rig.send()).whole();
  assert.equal(await rig.metric("dynamo_component_errors_total", 'error_type="serialization"'), 1);
});

const BREACH: Generate = async function* () {
  yield chunk.tokens([1, 2]);
  yield { ...chunk.stop(), completion_usage: { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 } };
};

test("a breach of the stream contract is logged once a stream and the answer goes on, if only warned of", async () => {
  const { engine } = probeEngine(BREACH);
  await using rig = await startRig(engine, { worker: { validate: "warn" } });
  const frames = read(await (await rig.send()).whole());
  assert.equal(frames.length, 6);
  const told = rig.lines.filter((line) => line.includes("CompletionTokensMismatch"));
  assert.equal(told.length, 1, rig.lines.join("\n"));
  const counted = (kind: string) => rig.metric("stator_stream_contract_violations_total", `kind="${kind}"`);
  assert.deepEqual([await counted("CompletionTokensMismatch"), await counted("NoTerminalChunk")], [1, 0]);
});

test("a breach of the stream contract fails the stream where engines are developed", async () => {
  const { engine } = probeEngine(BREACH);
  await using rig = await startRig(engine);
  const frames = read(await (await rig.send()).whole()) as { data: { event?: string } }[];
  assert.equal(frames.at(-3)?.data.event, "error");
});
