/** The unmodified OpenAI client against the gateway in front of a whole worker. */
import assert from "node:assert/strict";
import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from "npm:openai@7";
import { chunk, defineEngine, usage } from "@stator/worker";
import { openGateway } from "../../src/gateway/gateway.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { createWorkerOn } from "../../src/serve.ts";
import { createMemStore, openDiscovery } from "../../src/worker/backends.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";

/** Most time from a client's abort to the engine's signal. The goal is 100 ms; a loaded machine may take longer. @unit milliseconds */
const MAX_ABORT_MS = 1000;

/** A worker, a gateway and a client; `aborted` resolves with the time at which the engine was told. */
async function start() {
  const aborted = Promise.withResolvers<number>();
  const engine = defineEngine({
    start: () => Promise.resolve({ model: "letters", contextLength: 64 }),
    async *generate(request, ctx) {
      ctx.signal.addEventListener("abort", () => aborted.resolve(performance.now()));
      const count = request.stop_conditions.max_tokens ?? 1_000_000;
      for (let i = 0; i < count - 1; i++) {
        await ctx.clock.nextTurn();
        if (ctx.signal.aborted) return yield chunk.cancelled();
        yield chunk.tokens([64 + i % 26]);
      }
      yield chunk.length(usage(request.token_ids.length, count), [64 + (count - 1) % 26]);
    },
    cleanup() {},
  });
  const platform = { ...realPlatform, process: { ...realPlatform.process, env: {} } };
  const memStore = createMemStore();
  const undo = new AsyncDisposableStack();
  const worker = createWorkerOn(platform, engine, {}, memStore, SILENT);
  undo.defer(async () => void await worker.stop());
  await worker.start();
  const options = resolveOptions({}, {});
  const discovery = undo.use(await openDiscovery({ platform, options, log: SILENT, memStore }));
  const gateway = undo.use(await openGateway({ platform, discovery, port: 0, log: SILENT }));
  const client = new OpenAI({ apiKey: "none", baseURL: `http://${gateway.address}/v1`, maxRetries: 0 });
  return { client, aborted: aborted.promise, [Symbol.asyncDispose]: () => undo.disposeAsync() };
}

const messages = [{ role: "user" as const, content: "hi" }];

Deno.test("the OpenAI client lists models", async () => {
  await using stack = await start();
  const models = await stack.client.models.list();
  assert.deepEqual(models.data.map((model) => model.id), ["letters"]);
  assert.equal((await stack.client.models.retrieve("letters")).id, "letters");
});

Deno.test("the OpenAI client chats, whole and streamed", async () => {
  await using stack = await start();
  const whole = await stack.client.chat.completions.create({ model: "letters", messages, max_tokens: 5 });
  assert.equal(whole.choices[0]?.message.content, "abcde");
  assert.equal(whole.choices[0]?.finish_reason, "length");
  assert.deepEqual(whole.usage, { prompt_tokens: 6, completion_tokens: 5, total_tokens: 11 });
  const stream = await stack.client.chat.completions.create({
    model: "letters",
    messages,
    max_tokens: 5,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let tokens = 0;
  for await (const part of stream) {
    text += part.choices[0]?.delta.content ?? "";
    tokens += part.usage?.completion_tokens ?? 0;
  }
  assert.equal(text, "abcde");
  assert.equal(tokens, 5);
});

Deno.test("the OpenAI client completes, whole and streamed, with a stop string", async () => {
  await using stack = await start();
  const prompt = ["x", "y"];
  const whole = await stack.client.completions.create({ model: "letters", prompt, max_tokens: 9, stop: "def" });
  assert.deepEqual(whole.choices.map((choice) => choice.text), ["abc", "abc"]);
  assert.deepEqual(whole.choices.map((choice) => choice.finish_reason), ["stop", "stop"]);
  const stream = await stack.client.completions.create({ model: "letters", prompt: "x", max_tokens: 3, stream: true });
  const texts = (await Array.fromAsync(stream)).map((part) => part.choices[0]?.text);
  assert.equal(texts.join(""), "abc");
});

Deno.test("an abort in the middle of a stream reaches the engine", async () => {
  await using stack = await start();
  const stream = await stack.client.chat.completions.create({ model: "letters", messages, stream: true });
  let abortedAt = 0;
  for await (const _part of stream) {
    abortedAt = performance.now();
    stream.controller.abort();
    break;
  }
  const took = await stack.aborted - abortedAt;
  console.log(`abort reached the engine after ${took.toFixed(1)} ms (stream)`);
  assert.ok(took < MAX_ABORT_MS);
});

Deno.test("an abort of an answer that is not streamed reaches the engine", async () => {
  await using stack = await start();
  const control = new AbortController();
  const pending = stack.client.chat.completions.create({ model: "letters", messages }, { signal: control.signal });
  const rejected = assert.rejects(Promise.resolve(pending), APIUserAbortError);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const abortedAt = performance.now();
  control.abort();
  await rejected;
  const took = await stack.aborted - abortedAt;
  console.log(`abort reached the engine after ${took.toFixed(1)} ms (whole)`);
  assert.ok(took < MAX_ABORT_MS);
});

Deno.test("the OpenAI client sees 400 and 404 as its own error classes", async () => {
  await using stack = await start();
  const { completions } = stack.client.chat;
  const negative = completions.create({ model: "letters", messages, max_tokens: -1 });
  await assert.rejects(Promise.resolve(negative), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.param, "max_tokens");
    return true;
  });
  const unknown = completions.create({ model: "other", messages });
  await assert.rejects(Promise.resolve(unknown), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  const long = completions.create({ model: "letters", messages: [{ role: "user", content: "x".repeat(100) }] });
  await assert.rejects(Promise.resolve(long), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.code, "context_length_exceeded");
    return true;
  });
});
