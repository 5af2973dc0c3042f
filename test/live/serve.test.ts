/**
 * A worker behind Dynamo's own frontend: it is found, and it answers.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, COMPLETIONS, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const MODEL = TINY_MODEL;

test("a worker is listed and answers chats and completions", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("serve");
  await using frontend = await startFrontend(store);
  await using worker = await startReadyStator(store, { args: ["--delay", "0"] });
  const listedMs = await frontend.listed(MODEL, 5_000);
  console.log(`listed ${listedMs.toFixed(0)} ms after the worker was ready`);

  await t.test("chat", async () => {
    const { status, body } = await frontend.post(CHAT, chat(MODEL, "hello", { max_tokens: 8 }));
    assert.equal(status, 200);
    assert.equal(body.choices[0].message.content, sampleText(8));
    assert.equal(body.choices[0].finish_reason, "length");
    // The template adds a begin marker and two role markers; "<|end|>" is the end token.
    assert.deepEqual(usageOf(body), { prompt: "hello".length + 4, completion: 8 });
  });
  await t.test("chat, streaming", async () => {
    const more = { max_tokens: 8, stream_options: { include_usage: true } };
    const stream = await frontend.stream(CHAT, chat(MODEL, "hello", more));
    assert.deepEqual(
      { status: stream.status, text: stream.text, finish: stream.finishReason, done: stream.done },
      { status: 200, text: sampleText(8), finish: "length", done: true },
    );
    assert.deepEqual(usageOf(stream.events.at(-1)), { prompt: 9, completion: 8 });
  });
  await t.test("completion", async () => {
    const { status, body } = await frontend.post(COMPLETIONS, { model: MODEL, prompt: "hello", max_tokens: 8 });
    assert.equal(status, 200);
    assert.equal(body.choices[0].text, sampleText(8));
    assert.deepEqual(usageOf(body), { prompt: 5, completion: 8 });
  });
  await t.test("completion, streaming", async () => {
    const stream = await frontend.stream(COMPLETIONS, { model: MODEL, prompt: "hello", max_tokens: 8 });
    assert.deepEqual([stream.text, stream.finishReason, stream.done], [sampleText(8), "length", true]);
  });
  await t.test("completions of several prompts at once", async () => {
    const prompt = ["a", "bb", "ccc"];
    const { body } = await frontend.post(COMPLETIONS, { model: MODEL, prompt, max_tokens: 3 });
    assert.deepEqual(body.choices.map((choice: { text: string }) => choice.text), prompt.map(() => sampleText(3)));
    assert.deepEqual(usageOf(body), { prompt: 6, completion: 9 });
  });
  await t.test("a stop string ends the text before it", async () => {
    const { body } = await frontend.post(CHAT, chat(MODEL, "x", { max_tokens: 60, stop: ["*"] }));
    assert.deepEqual([body.choices[0].message.content, body.choices[0].finish_reason], [sampleText(8), "stop"]);
  });
  await t.test("64 chats stream at the same time", async () => {
    const streams = await Promise.all(Array.from({ length: 64 }, (_, n) => {
      const length = 16 + n % 32;
      return frontend.stream(CHAT, chat(MODEL, `number ${n}`, { max_tokens: length }))
        .then((stream) => ({ stream, length }));
    }));
    for (const { stream, length } of streams) {
      assert.deepEqual(
        [stream.status, stream.text, stream.finishReason, stream.error, stream.done],
        [200, sampleText(length), "length", undefined, true],
      );
    }
  });
  assert.deepEqual(frontend.complaints(), [], "the frontend has nothing to complain about");
  assert.doesNotMatch(worker.output(), / (WARN|ERROR) /);
});

test("a worker finds its place behind a frontend that starts later", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("serve-late");
  await using _worker = await startReadyStator(store, { args: ["--delay", "0"] });
  await using frontend = await startFrontend(store);
  await frontend.listed(MODEL, 5_000);
  const { body } = await frontend.post(CHAT, chat(MODEL, "hello", { max_tokens: 4 }));
  assert.equal(body.choices[0].message.content, sampleText(4));
});

test("the built-in model reaches a frontend that cannot read its files", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("self-host");
  await using frontend = await startFrontend(store);
  await using _worker = await startReadyStator(store, { model: null, args: ["--delay", "0"] });
  await frontend.listed("stator-sample", 15_000);
  const { status } = await frontend.post(CHAT, chat("stator-sample", "hello", { max_tokens: 4 }));
  assert.equal(status, 200);
  assert.deepEqual(frontend.complaints(), []);
});

/** What the first `count` tokens of the sample engine, 1, 2, 3 …, decode to with the tiny model. */
function sampleText(count: number): string {
  return String.fromCharCode(...Array.from({ length: count }, (_, index) => 33 + 1 + index));
}

// deno-lint-ignore no-explicit-any -- an HTTP body
function usageOf(body: any): { prompt: number; completion: number } {
  return { prompt: body.usage.prompt_tokens, completion: body.usage.completion_tokens };
}
