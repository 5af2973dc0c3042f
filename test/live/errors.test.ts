/**
 * What clients see when an engine fails, through Dynamo's own frontend: the same statuses and texts as in the captures
 * of Dynamo's own worker.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventNames } from "../support/fault_events.ts";
import { contractCapture, seedOf } from "../support/fault_scenarios.ts";
import { CHAT, chat, startFrontend, type Stream } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const MODEL = TINY_MODEL;
const FAULT_WORKER = "test/support/fault_engine.ts";

// EngineShutdown and StreamIncomplete take a worker out of routing, by default for 5 s.
const NO_QUARANTINE = { DYN_RUNTIME_INHIBITED_DURATION_SECS: "0" };

/** Rows of `errors_by_exception.json`, and what our engines throw to cause the same. */
const THROWN: Readonly<Record<string, string>> = {
  Cancelled: "Cancelled",
  CannotConnect: "CannotConnect",
  ConnectionTimeout: "ConnectionTimeout",
  Disconnected: "Disconnected",
  EngineShutdown: "EngineShutdown",
  InvalidArgument: "InvalidArgument",
  RuntimeError: "Error",
  StreamIncomplete: "StreamIncomplete",
  Unknown: "Unknown",
  ValueError: "private InvalidArgument",
};

/** Rows that only a Python worker can cause. */
const NOT_APPLICABLE: Readonly<Record<string, string>> = {
  DynamoException: "base class of Dynamo's Python exceptions; it travels as Unknown, which has a row of its own",
  HttpError418: "a Python type that carries an HTTP status; no kind of the worker contract does",
  HttpError422: "as HttpError418",
  HttpError503: "as HttpError418",
  RouterQueueLimitExceeded: "raised by Dynamo's Python router, not by engines; it travels as Unknown",
  SelectionServiceError: "raised by Dynamo's Python router, not by engines; it travels as Unknown",
  WorkerUnavailable: "raised by Dynamo's Python client, not by engines; it travels as Unknown",
};

const FORMS = [
  { form: "unary, raised before first chunk", after: 0, stream: false },
  { form: "unary, raised after 2 chunks", after: 2, stream: false },
  { form: "stream=true, raised before first chunk", after: 0, stream: true },
  { form: "stream=true, raised after 2 chunks", after: 2, stream: true },
] as const;

test("errors reach clients as from Dynamo's own worker", { timeout: 180_000 }, async (t) => {
  if (!requirePeers(t)) return;
  const captured = contractCapture("errors_by_exception.json");
  assert.deepEqual(
    Object.keys(captured).sort(),
    [...Object.keys(THROWN), ...Object.keys(NOT_APPLICABLE)].sort(),
    "every captured row is either tested or listed as not applicable",
  );
  for (const [row, reason] of Object.entries(NOT_APPLICABLE)) console.log(`not applicable: ${row}: ${reason}`);

  using store = makeStore("errors");
  await using frontend = await startFrontend(store, NO_QUARANTINE);
  await using _worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(MODEL);
  for (const [row, thrown] of Object.entries(THROWN)) {
    for (const { form, after, stream } of FORMS) {
      await t.test(`${row}, ${form}`, async () => {
        const expected = captured[row][form];
        const body = chat(MODEL, row, { seed: seedOf(`throw ${thrown} after ${after}`) });
        if (!stream) {
          assert.deepEqual(await frontend.post(CHAT, body), expected);
          return;
        }
        const seen = await frontend.stream(CHAT, body);
        // The one wanted difference: a request that is known bad before the first chunk is an HTTP error, also when
        // a stream was asked for.
        const early = captured[row]["unary, raised before first chunk"];
        if (after === 0 && early.status === 400) {
          assert.deepEqual({ status: seen.status, body: seen.error }, early);
        } else {
          assert.deepEqual({ status: seen.status, last_sse: lastSse(seen) }, expected);
        }
      });
    }
  }
});

const INTERNAL = { message: "Internal server error", code: 500 };
const DISCLOSED = { message: "the tokenizer is missing", code: 500 };
const AT_FAULT = { message: "Invalid request", code: 400 };
const SIZE_LIMIT = { type: "size_limit", limit: 4096, actual: 5000 };
const RATE_LIMIT = { type: "rate_limit", limit: 10, remaining: 0 };

/** What clients are shown of errors that no capture holds: unary before and after the first chunk, and in a stream. */
const SHOWN: Readonly<Record<string, readonly [before: object, after: object, late: object]>> = {
  "Error with typed cause": [INTERNAL, INTERNAL, INTERNAL],
  "Unknown with public cause": [INTERNAL, INTERNAL, INTERNAL],
  "AggregateError": [INTERNAL, INTERNAL, INTERNAL],
  "string": [INTERNAL, INTERNAL, INTERNAL],
  "undefined": [INTERNAL, INTERNAL, INTERNAL],
  "hostile object": [INTERNAL, INTERNAL, INTERNAL],
  // A frontend that has sent nothing yet shows its own text for a 500, whatever the worker says.
  "public Unknown": [INTERNAL, DISCLOSED, DISCLOSED],
  "size_limit": [{ ...AT_FAULT, details: SIZE_LIMIT }, { ...AT_FAULT, details: SIZE_LIMIT }, AT_FAULT],
  "context_length": [
    { ...AT_FAULT, details: { ...SIZE_LIMIT, type: "context_length" } },
    { ...AT_FAULT, details: { ...SIZE_LIMIT, type: "context_length" } },
    AT_FAULT,
  ],
  "rate_limit": [{ ...AT_FAULT, details: RATE_LIMIT }, { ...AT_FAULT, details: RATE_LIMIT }, AT_FAULT],
};

test("limits and public texts reach clients, and the operator's text never does", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("public");
  await using frontend = await startFrontend(store, NO_QUARANTINE);
  await using worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(MODEL);
  const ask = (thrown: string, after: number) => chat(MODEL, "x", { seed: seedOf(`throw ${thrown} after ${after}`) });
  for (const [thrown, [before, after, late]] of Object.entries(SHOWN)) {
    await t.test(thrown, async () => {
      const unary = [await frontend.post(CHAT, ask(thrown, 0)), await frontend.post(CHAT, ask(thrown, 2))];
      const streams = [await frontend.stream(CHAT, ask(thrown, 0)), await frontend.stream(CHAT, ask(thrown, 2))];
      assert.doesNotMatch(JSON.stringify([unary, streams]), /operator|abc123|raised/, "clients see none of it");
      assert.deepEqual(unary.map(({ body }) => visible(body)), [before, after]);
      assert.deepEqual(visible(streams[1]!.error), late);
    });
  }
  assert.match(worker.output(), /operator only: token=abc123/, "operators do see it");
  const timeout = await frontend.post(CHAT, ask("ResponseTimeout", 2));
  assert.equal(timeout.status, 504);
});

/** How often a frontend with a migration limit of 3 asks, and what clients get in the end. */
const ATTEMPTS: Readonly<Record<string, readonly [attempts: number, status: number]>> = {
  "Disconnected": [4, 503],
  "Error with typed cause": [4, 500],
  "Unknown with public cause": [1, 500],
  "Error": [1, 500],
};

test("a frontend that migrates looks at the causes too", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("causes");
  await using frontend = await startFrontend(store, NO_QUARANTINE, ["--migration-limit", "3"]);
  await using worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(MODEL);
  const asked = () => eventNames(worker).filter((event) => event === "finally").length;
  for (const [thrown, [attempts, status]] of Object.entries(ATTEMPTS)) {
    for (const after of [0, 2]) {
      const before = asked();
      const answer = await frontend.post(CHAT, chat(MODEL, "x", { seed: seedOf(`throw ${thrown} after ${after}`) }));
      assert.equal(answer.status, status, thrown);
      await until("the engine to end", 5000, () => asked() - before >= attempts);
      assert.equal(asked() - before, attempts, thrown);
    }
  }
});

test("a frontend leaves a worker alone that shuts down or breaks off, for a while", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("quarantine");
  await using frontend = await startFrontend(store, { DYN_RUNTIME_INHIBITED_DURATION_SECS: "3" });
  await using _worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(MODEL);
  const ask = async (scenario: string) =>
    (await frontend.post(CHAT, chat(MODEL, "x", { seed: seedOf(scenario) }))).status;
  for (const [thrown, next] of Object.entries({ Disconnected: 200, EngineShutdown: 503, StreamIncomplete: 503 })) {
    assert.equal(await ask(`throw ${thrown} after 0`), 503, thrown);
    assert.equal(await ask("finish stop"), next, `after ${thrown}`);
    await until("the worker to be asked again", 15_000, async () => await ask("finish stop") === 200);
  }
});

/** The part of an error's body that a worker has a say in. */
function visible({ message, code, details }: Record<string, unknown>): object {
  const isOurs = typeof details === "object" && details !== null && "type" in details;
  return { message, code, ...(isOurs ? { details } : {}) };
}

test("finish reasons reach clients as from Dynamo's own worker", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("finish");
  await using frontend = await startFrontend(store, NO_QUARANTINE);
  await using _worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(MODEL);
  for (const [reason, expected] of Object.entries(contractCapture("finish_reasons.json"))) {
    await t.test(`finish_reason ${reason}`, async () => {
      const body = chat(MODEL, "x", { seed: seedOf(`finish ${reason}`) });
      const unary = await frontend.post(CHAT, body);
      if (expected.unary.choices) {
        assert.deepEqual(unary.body.choices, expected.unary.choices);
        assert.equal(unary.body.usage.completion_tokens, expected.unary.usage.completion_tokens);
      } else {
        assert.deepEqual(unary.body, expected.unary);
        assert.equal(unary.status, expected.unary.code);
      }
      const stream = await frontend.stream(CHAT, body);
      assert.deepEqual(lastSse(stream).map(withoutIdentity), expected.last_sse.map(withoutIdentity));
    });
  }
});

/** Captured chunk lists that our worker answers differently, on purpose: every request ends with a terminal or an error. */
const CHUNK_LISTS_OURS: Readonly<Record<string, { readonly status: number; readonly why: string }>> = {
  empty: { status: 503, why: "a stream without any chunk is incomplete; Dynamo's worker answers 200 with no choice" },
  noterm: { status: 503, why: "a stream without a terminal chunk is incomplete; Dynamo's worker answers 200" },
};

test("odd chunks reach clients as from Dynamo's own worker", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("chunks");
  await using frontend = await startFrontend(store, NO_QUARANTINE);
  await using _worker = await startReadyStator(store, { program: FAULT_WORKER });
  await frontend.listed(MODEL);
  for (const [name, expected] of Object.entries(contractCapture("chunks_to_http.json"))) {
    await t.test(`chunks ${name}`, async () => {
      const nvext = { extra_fields: ["worker_id", "timing", "engine_data"] };
      const logprobs = name === "engdata" ? { logprobs: true, top_logprobs: 2 } : {};
      const body = chat(MODEL, "x", { seed: seedOf(`chunks ${name}`), nvext, ...logprobs });
      const answer = await frontend.post(CHAT, body);
      const ours = CHUNK_LISTS_OURS[name];
      if (ours !== undefined) {
        assert.equal(answer.status, ours.status, ours.why);
        return;
      }
      const capture = expected.http_unary;
      assert.equal(answer.status, capture.code ?? 200);
      assert.deepEqual(answer.body.choices, capture.choices);
      assert.equal(answer.body.message, capture.message);
      assert.equal(answer.body.usage?.completion_tokens, capture.usage?.completion_tokens);
      assert.deepEqual(answer.body.usage?.prompt_tokens_details, capture.usage?.prompt_tokens_details);
      assert.deepEqual(answer.body.nvext?.engine_data, capture.nvext?.engine_data);
    });
  }
});

function lastSse(stream: Stream): unknown[] {
  return [...stream.events.slice(-1), ...(stream.done ? ["[DONE]"] : [])];
}

/** An event without what differs from request to request. */
function withoutIdentity(event: unknown): unknown {
  if (typeof event !== "object" || event === null) return event;
  const { id: _id, created: _created, model: _model, ...rest } = event as Record<string, unknown>;
  return rest;
}
