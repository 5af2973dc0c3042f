/**
 * What clients of Dynamo's own frontend ask for is what the engine gets: the same members as in the captures.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Body, CHAT, chat, COMPLETIONS, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { lastRequest, RECORDING_WORKER } from "../support/recorded.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const CAPTURES = new URL("../golden/contract/requests/", import.meta.url);
const SCHEMA = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };

/** Captured requests, and what a client says to cause them. */
const ASKED: Readonly<Record<string, readonly [path: string, more: Body]>> = {
  chat_response_format_json_schema: [
    CHAT,
    { response_format: { type: "json_schema", json_schema: { name: "answer", schema: SCHEMA } } },
  ],
  chat_response_format_json_object: [CHAT, { response_format: { type: "json_object" } }],
  chat_guided_regex_backend: [CHAT, { guided_regex: "a+", guided_decoding_backend: "xgrammar" }],
  chat_guided_grammar_whitespace: [
    CHAT,
    { guided_grammar: 'root ::= "a"', guided_whitespace_pattern: " *" },
  ],
  chat_guided_choice: [CHAT, { guided_choice: ["a", "b"] }],
  completions_logprobs: [COMPLETIONS, { logprobs: 2 }],
  completions_prompt_logprobs: [COMPLETIONS, { logprobs: 1, prompt_logprobs: 1 }],
};

test("guided decoding and log-probabilities reach the engine as to Dynamo's own", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("requests");
  await using frontend = await startFrontend(store);
  await using worker = await startReadyStator(store, { program: RECORDING_WORKER, args: ["--delay", "0"] });
  await frontend.listed(TINY_MODEL);
  for (const [name, [path, more]] of Object.entries(ASKED)) {
    await t.test(name, async () => {
      const captured = JSON.parse(readFileSync(new URL(`${name}.json`, CAPTURES), "utf8"));
      const body = path === CHAT ? chat(TINY_MODEL, "x") : { model: TINY_MODEL, prompt: "x" };
      const { status, body: answer } = await frontend.post(path, { ...body, max_tokens: 2, ...more });
      assert.equal(status, 200, JSON.stringify(answer));
      const { sampling_options, output_options } = lastRequest(worker);
      assert.deepEqual(sampling_options.guided_decoding, captured.sampling_options.guided_decoding);
      assert.deepEqual(output_options, captured.output_options);
    });
  }
  await t.test("the log-probabilities of the engine reach the client", async () => {
    const { body } = await frontend.post(
      CHAT,
      chat(TINY_MODEL, "x", { max_tokens: 2, logprobs: true, top_logprobs: 2 }),
    );
    assert.equal(lastRequest(worker).output_options.logprobs, 2);
    const [first] = body.choices[0].logprobs.content;
    assert.deepEqual([first.token, first.top_logprobs.length], ['"', 3]);
    assert.ok(Math.abs(first.logprob + 0.1) < 1e-6);
  });
});
