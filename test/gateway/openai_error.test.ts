import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeHandshake, encodePrologueError } from "../../src/protocol/control.ts";
import { DynamoError, type ErrorKind } from "../../src/protocol/error.ts";
import { readEvents, startMiniStack } from "../support/mini_stack.ts";
import { CHAT, CHAT_PATH, ids, type Json, json } from "../support/openai_json.ts";

const GOLDEN_ERRORS: Json = JSON.parse(
  readFileSync(new URL("../golden/contract/http/errors_by_exception.json", import.meta.url), "utf8"),
);
const KINDS: readonly ErrorKind[] = [
  "InvalidArgument",
  "CannotConnect",
  "ConnectionTimeout",
  "Disconnected",
  "EngineShutdown",
  "StreamIncomplete",
  "Cancelled",
];
for (const kind of KINDS) {
  test(`an error item of kind ${kind} has the real frontend's status and text`, async () => {
    await using stack = await startMiniStack(async (request) => {
      const response = await request.answer();
      response.item({ event: "error", error: new DynamoError(kind, `raised ${kind}`).toWire() });
      response.finish();
    });
    const golden = GOLDEN_ERRORS[kind];
    const whole = await stack.post(CHAT_PATH, CHAT);
    assert.equal(whole.status, golden["unary, raised before first chunk"].status);
    assert.equal((await json(whole)).error.message, golden["unary, raised before first chunk"].body.message);
    const stream = await stack.post(CHAT_PATH, { ...CHAT, stream: true });
    assert.equal(stream.status, 200);
    const [event, done] = await readEvents(stream) as Json[];
    const { message, type, code } = event.error;
    assert.deepEqual({ error: { message, type, code } }, golden["stream=true, raised before first chunk"].last_sse[0]);
    assert.equal(done, "[DONE]");
  });
}

test("clients see nothing that was said to operators, wherever it stands in an error", async () => {
  const secret = "token=abc123";
  const errors = [
    DynamoError.from(new Error(secret)),
    DynamoError.from(secret),
    new DynamoError("InvalidArgument", secret, { publicMessage: null }),
    new DynamoError("InvalidArgument", secret, { publicDetails: { type: "context_length", limit: 10, actual: 20 } }),
    new DynamoError("Unknown", secret, { cause: new DynamoError("InvalidArgument", secret) }),
    ...KINDS.filter((kind) => kind !== "InvalidArgument").map((kind) => new DynamoError(kind, secret)),
  ];
  for (const error of errors) {
    await using stack = await startMiniStack(async (request) => {
      const response = await request.answer();
      response.item({ event: "error", error: error.toWire() });
      response.finish();
    });
    for (const stream of [false, true]) {
      const shown = await (await stack.post(CHAT_PATH, { ...CHAT, stream })).text();
      assert.match(shown, /"message":"[A-Z]/);
      assert.doesNotMatch(shown, /abc123/, `${error.kind}: ${shown}`);
    }
  }
});

test("an error in a prologue is a real status, also for a stream", async () => {
  await using stack = await startMiniStack(async (request) => {
    request.ack();
    const response = await request.dial();
    const refusal = encodePrologueError(new DynamoError("InvalidArgument", "too hot"));
    response.write(encodeHandshake(request.head.callHome.subject), refusal);
  });
  const response = await stack.post(CHAT_PATH, { ...CHAT, stream: true });
  assert.equal(response.status, 400);
  assert.equal((await json(response)).error.message, "too hot");
});

test("a refusal on the acknowledgement is 529 or 503", async () => {
  const texts = ["Server overloaded: worker at capacity", "Server unavailable: unknown endpoint"];
  await using stack = await startMiniStack((request) => request.ack(texts.shift()));
  const full = await stack.post(CHAT_PATH, { ...CHAT, stream: true });
  assert.equal(full.status, 529);
  assert.equal((await json(full)).error.message, "Service temporarily overloaded");
  const gone = await stack.post(CHAT_PATH, CHAT);
  assert.equal(gone.status, 503);
  await gone.body?.cancel();
});

test("a stream that breaks ends with an error event and [DONE]", async () => {
  await using stack = await startMiniStack(async (request) => {
    const response = await request.answer();
    response.chunk({ token_ids: ids("a") });
    response.conn.end();
  });
  const events = await readEvents(await stack.post(CHAT_PATH, { ...CHAT, stream: true })) as Json[];
  assert.equal(events[0].choices[0].delta.content, "a");
  assert.equal(events[1].error.code, 503);
  assert.equal(events[2], "[DONE]");
});

const BAD: readonly (readonly [name: string, path: string, body: unknown, param: string | null])[] = [
  ["no JSON", CHAT_PATH, "{", null],
  ["no object", CHAT_PATH, "[]", null],
  ["no model", CHAT_PATH, { messages: CHAT.messages }, "model"],
  ["no messages", CHAT_PATH, { model: "tiny" }, "messages"],
  ["empty messages", CHAT_PATH, { model: "tiny", messages: [] }, "messages"],
  ["a message without role", CHAT_PATH, { model: "tiny", messages: [{ content: "x" }] }, "messages[0].role"],
  ["a message without content", CHAT_PATH, { model: "tiny", messages: [{ role: "user" }] }, "messages[0].content"],
  ["negative max_tokens", CHAT_PATH, { ...CHAT, max_tokens: -1 }, "max_tokens"],
  ["max_tokens as text", CHAT_PATH, { ...CHAT, max_tokens: "5" }, "max_tokens"],
  ["fractional max_completion_tokens", CHAT_PATH, { ...CHAT, max_completion_tokens: 1.5 }, "max_completion_tokens"],
  ["temperature out of range", CHAT_PATH, { ...CHAT, temperature: 3 }, "temperature"],
  ["stream as text", CHAT_PATH, { ...CHAT, stream: "yes" }, "stream"],
  ["stop as number", CHAT_PATH, { ...CHAT, stop: 5 }, "stop"],
  ["two choices", CHAT_PATH, { ...CHAT, n: 2 }, "n"],
  ["tools", CHAT_PATH, { ...CHAT, tools: [{ type: "function" }] }, "tools"],
  [
    "an image",
    CHAT_PATH,
    { model: "tiny", messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
    "messages[0].content[0].type: image_url",
  ],
  ["top_logprobs alone", CHAT_PATH, { ...CHAT, top_logprobs: 2 }, "top_logprobs"],
  ["an unknown response format", CHAT_PATH, { ...CHAT, response_format: { type: "xml" } }, "response_format.type"],
  ["a prompt that is too long", "/v1/completions", { model: "tiny", prompt: "x".repeat(8193) }, "prompt"],
  ["no prompt", "/v1/completions", { model: "tiny" }, "prompt"],
  ["an empty prompt", "/v1/completions", { model: "tiny", prompt: "" }, "prompt"],
  ["a mixed prompt", "/v1/completions", { model: "tiny", prompt: ["a", 1] }, "prompt"],
  ["echo", "/v1/completions", { model: "tiny", prompt: "a", echo: true }, "echo"],
];
test("requests at fault are 400 and name the member", async () => {
  await using stack = await startMiniStack(() => assert.fail("the worker was asked"));
  for (const [name, path, body, param] of BAD) {
    const response = await stack.post(path, body);
    assert.equal(response.status, 400, name);
    const { error } = await json(response);
    assert.equal(error.type, "invalid_request_error", name);
    assert.equal(error.param, param, name);
    assert.ok(error.message.length > 0, name);
  }
});
