import assert from "node:assert/strict";
import { test } from "node:test";
import { openGateway } from "../../src/gateway/gateway.ts";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { chunks, type MiniRequest, type MiniResponse } from "../support/mini_worker.ts";
import { readEvents, startMiniStack } from "../support/mini_stack.ts";
import { CHAT, CHAT_PATH, ids, type Json, json } from "../support/openai_json.ts";

test("GET /v1/models lists live models; a model that leaves is gone", async () => {
  await using stack = await startMiniStack(() => {}, { modelAliases: ["org/alias"] });
  const list = await json(await fetch(`${stack.url}/v1/models`));
  assert.equal(list.object, "list");
  assert.deepEqual(list.data.map((model: Json) => model.id), ["tiny", "org/alias"]);
  assert.equal(list.data[0].context_window, 8192);
  assert.equal((await json(await fetch(`${stack.url}/v1/models/org/alias`))).id, "org/alias");
  await stack.withdraw();
  assert.deepEqual((await json(await fetch(`${stack.url}/v1/models`))).data, []);
  const gone = await stack.post(CHAT_PATH, CHAT);
  assert.equal(gone.status, 404);
  assert.equal((await json(gone)).error.code, "model_not_found");
});

test("GET /health is healthy", async () => {
  await using stack = await startMiniStack(() => {});
  const response = await fetch(`${stack.url}/health`);
  assert.equal(response.status, 200);
  assert.equal((await json(response)).status, "healthy");
});

test("unknown routes and models are 404 in OpenAI's shape", async () => {
  await using stack = await startMiniStack(() => {});
  const route = await fetch(`${stack.url}/v1/nothing`);
  assert.equal(route.status, 404);
  assert.equal((await json(route)).error.code, "unknown_url");
  const model = await fetch(`${stack.url}/v1/models/other`);
  assert.equal(model.status, 404);
  assert.equal((await json(model)).error.code, "model_not_found");
});

test("a chat is answered whole", async () => {
  await using stack = await startMiniStack(
    chunks({ token_ids: ids("Hel") }, { token_ids: ids("lo") }, { token_ids: [], finish_reason: "length" }),
  );
  const response = await stack.post(CHAT_PATH, CHAT);
  assert.equal(response.status, 200);
  const body = await json(response);
  assert.match(body.id, /^chatcmpl-[0-9a-f-]{36}$/);
  assert.equal(body.object, "chat.completion");
  assert.equal(body.model, "tiny");
  assert.deepEqual(body.choices, [{
    index: 0,
    message: { role: "assistant", content: "Hello", refusal: null },
    finish_reason: "length",
    logprobs: null,
  }]);
  assert.deepEqual(body.usage, { prompt_tokens: 6, completion_tokens: 5, total_tokens: 11 });
});

test("a chat is streamed, with token counts at the end when asked", async () => {
  const counts = {
    prompt_tokens: 6,
    completion_tokens: 2,
    total_tokens: 8,
    prompt_tokens_details: { cached_tokens: 4 },
  };
  await using stack = await startMiniStack(
    chunks({ token_ids: ids("a") }, { token_ids: ids("b"), finish_reason: "eos", completion_usage: counts }),
  );
  const response = await stack.post(CHAT_PATH, { ...CHAT, stream: true, stream_options: { include_usage: true } });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const [first, second, usage, done, ...more] = await readEvents(response) as Json[];
  assert.deepEqual(more, []);
  assert.equal(done, "[DONE]");
  assert.equal(first.object, "chat.completion.chunk");
  assert.deepEqual(first.choices[0].delta, { role: "assistant", content: "a" });
  assert.equal(first.choices[0].finish_reason, null);
  assert.equal(first.usage, null);
  assert.deepEqual(second.choices[0].delta, { content: "b" });
  assert.equal(second.choices[0].finish_reason, "stop");
  assert.deepEqual(usage.choices, []);
  assert.deepEqual(usage.usage, counts);
  assert.equal(usage.id, first.id);
});

test("completions take text, lists of text, ids and lists of ids", async () => {
  const seen: { id: string; token_ids: number[] }[] = [];
  await using stack = await startMiniStack(async (request) => {
    const { token_ids } = request.body as { token_ids: number[] };
    seen.push({ id: request.head.id, token_ids });
    await chunks({ token_ids, finish_reason: "stop" })(request);
  });
  const ask = async (prompt: unknown): Promise<Json> =>
    await json(await stack.post("/v1/completions", { model: "tiny", prompt, max_tokens: 9 }));
  const one = await ask("ab");
  assert.equal(one.object, "text_completion");
  assert.deepEqual(one.choices, [{ index: 0, text: "ab", finish_reason: "stop", logprobs: null }]);
  assert.equal(one.id, `cmpl-${seen[0]!.id}`);
  const two = await ask(["a", "bc"]);
  assert.deepEqual(two.choices.map((choice: Json) => choice.text), ["a", "bc"]);
  assert.deepEqual(two.usage, { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 });
  const id = two.id.slice("cmpl-".length);
  assert.deepEqual(seen.slice(1).map((request) => request.id).sort(), [`${id}-0`, `${id}-1`]);
  assert.deepEqual((await ask(ids("xy"))).choices[0].text, "xy");
  assert.deepEqual((await ask([ids("x"), ids("y")])).choices.map((choice: Json) => choice.text), ["x", "y"]);

  const body = { model: "tiny", prompt: ["a", "b"], stream: true };
  const events = await readEvents(await stack.post("/v1/completions", body)) as Json[];
  const texts = events.slice(0, -1).map((event) => [event.choices[0].index, event.choices[0].text]);
  assert.deepEqual(texts, [[0, "a"], [1, "b"]]);
});

test("a stop string ends the answer before it, across chunks, and kills the worker's stream", async () => {
  const word = Promise.withResolvers<string>();
  await using stack = await startMiniStack(async (request) => {
    assert.deepEqual((request.body as Json).stop_conditions.stop, ["END"]);
    const response = await request.answer();
    for (const text of ["one E", "Ntwo E", "N", "Dthree"]) response.chunk({ token_ids: ids(text) });
    word.resolve(await response.word);
  });
  const body = await json(await stack.post(CHAT_PATH, { ...CHAT, stop: "END" }));
  assert.equal(body.choices[0].message.content, "one ENtwo ");
  assert.equal(body.choices[0].finish_reason, "stop");
  assert.equal(await word.promise, "kill");
});

test("the end-of-sequence token ends the answer, is counted, not shown, and kills; ignore_eos goes on", async () => {
  const words: string[] = [];
  const responses: MiniResponse[] = [];
  await using stack = await startMiniStack(async (request) => {
    const response = await request.answer();
    responses.push(response);
    response.chunk({ token_ids: ids("i") });
    response.chunk({ token_ids: [257, ...ids("j")] });
    if ((request.body as Json).stop_conditions.ignore_eos) {
      response.chunk({ token_ids: [], finish_reason: "length" });
      response.finish();
    } else words.push(await response.word);
  });
  const ended = await json(await stack.post(CHAT_PATH, CHAT));
  assert.equal(ended.choices[0].message.content, "i");
  assert.equal(ended.choices[0].finish_reason, "stop");
  assert.equal(ended.usage.completion_tokens, 2);
  const ignored = await json(await stack.post(CHAT_PATH, { ...CHAT, ignore_eos: true }));
  assert.equal(ignored.choices[0].message.content, "ij");
  assert.equal(ignored.choices[0].finish_reason, "length");
  await responses[1]!.closed;
  assert.deepEqual(responses[1]!.words, []);
  assert.deepEqual(words, ["kill"]);
});

test("log-probabilities take OpenAI's shapes", async () => {
  await using stack = await startMiniStack(chunks(
    {
      token_ids: [72],
      log_probs: [-0.5],
      top_logprobs: [[{ rank: 1, token_id: 72, token: null, logprob: -0.5 }, {
        rank: 2,
        token_id: 73,
        token: "j",
        logprob: -1.5,
        bytes: [106],
      }]],
    },
    { token_ids: [73], finish_reason: "stop" },
  ));
  const chat = await json(await stack.post(CHAT_PATH, { ...CHAT, logprobs: true, top_logprobs: 2 }));
  const top = [{ token: "i", bytes: [105], logprob: -0.5 }, { token: "j", bytes: [106], logprob: -1.5 }];
  assert.deepEqual(chat.choices[0].logprobs, {
    content: [{ token: "i", logprob: -0.5, bytes: [105], top_logprobs: top }],
    refusal: null,
  });
  const completion = await json(await stack.post("/v1/completions", { model: "tiny", prompt: "a", logprobs: 2 }));
  assert.deepEqual(completion.choices[0].logprobs, {
    tokens: ["i"],
    token_logprobs: [-0.5],
    top_logprobs: [{ i: -0.5, j: -1.5 }],
    text_offset: [0],
  });
});

test("a client that leaves kills the request, streamed or not", async () => {
  const words: Promise<string>[] = [];
  const started: (() => void)[] = [];
  await using stack = await startMiniStack(async (request) => {
    const response = await request.answer();
    response.chunk({ token_ids: ids("a") });
    words.push(response.word);
    started.shift()?.();
  });
  for (const stream of [true, false]) {
    const control = new AbortController();
    const isStarted = new Promise<void>((resolve) => started.push(resolve));
    const pending = stack.post(CHAT_PATH, { ...CHAT, stream }, { signal: control.signal }).then((r) => r.text());
    await isStarted;
    control.abort();
    await assert.rejects(pending);
    assert.equal(await words.at(-1), "kill");
  }
});

test("headers for tracing and metadata reach the worker", async () => {
  let seen: MiniRequest | undefined;
  await using stack = await startMiniStack(async (request) => {
    seen = request;
    await chunks({ token_ids: [1], finish_reason: "stop" })(request);
  });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const headers = {
    traceparent,
    "x-request-id": "r1",
    "X-Dynamo-Meta-tenant": "acme",
    "x-dynamo-meta-authorization": "s",
  };
  const response = await stack.post(CHAT_PATH, CHAT, { headers });
  await response.body?.cancel();
  assert.equal(seen?.headers.traceparent, traceparent);
  assert.equal(seen?.headers["x-request-id"], "r1");
  assert.deepEqual(seen?.head.metadata, { tenant: "acme" });
});

test("text parts of a message are joined", async () => {
  let seen: Json;
  await using stack = await startMiniStack(async (request) => {
    seen = request.body;
    await chunks({ token_ids: [1], finish_reason: "stop" })(request);
  });
  const content = [{ type: "text", text: "h" }, { type: "text", text: "i" }];
  const response = await stack.post(CHAT_PATH, { model: "tiny", messages: [{ role: "user", content }] });
  await response.body?.cancel();
  assert.deepEqual(seen.token_ids, [256, 258, 71, 72, 261, 259]);
});

test("openGateway() says which port is in use and which option changes it", async () => {
  await using stack = await startMiniStack(() => {});
  const port = Number(new URL(stack.url).port);
  await using discovery = await openMemDiscovery(new MemStore(), realPlatform);
  const opening = openGateway({ platform: realPlatform, discovery, port, log: SILENT });
  await assert.rejects(opening, { message: new RegExp(`port ${port}: the port is in use.*--gateway-port`) });
});

test("disposing the gateway ends running answers", async () => {
  const stack = await startMiniStack(async (request) => (await request.answer()).chunk({ token_ids: ids("a") }));
  const response = await stack.post(CHAT_PATH, { ...CHAT, stream: true });
  const reader = response.body!.getReader();
  await reader.read();
  await stack[Symbol.asyncDispose]();
  await reader.read().then(() => reader.cancel(), () => {});
});
