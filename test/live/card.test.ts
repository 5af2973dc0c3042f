/**
 * What a worker says of itself on its model card, in the store and as Dynamo's own frontend acts on it.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseJson } from "../../src/protocol/payload.ts";
import { CHAT, chat, COMPLETIONS, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { lastRequest, RECORDING_WORKER } from "../support/recorded.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

const TEMPLATE = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}";

test("options of the model show on the card, and the frontend does as they say", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("card");
  const template = join(store.path, "own.jinja");
  writeFileSync(template, TEMPLATE);
  await using frontend = await startFrontend(store);
  const identity = ["--namespace", "dynamo", "--component", "tiny", "--endpoint", "ask"];
  const tag = { scope: "always", schema: "strict" };
  await using worker = await startReadyStator(store, {
    program: RECORDING_WORKER,
    args: [
      ...identity,
      ...["--delay", "0", "--served-model-name", "served", "--custom-jinja-template", template],
      ...["--dyn-tool-call-parser", "hermes", "--dyn-reasoning-parser", "deepseek_r1"],
      ...["--exclude-tools-when-tool-choice-none", "false", "--dyn-structural-tag", JSON.stringify(tag)],
    ],
  });
  await frontend.listed("served");

  await t.test("the card", () => {
    const { display_name, runtime_config: runtime, worker_type, chat_template_file } = cardOf(store, "tiny/ask");
    assert.deepEqual([display_name, worker_type], ["served", "aggregated"]);
    assert.deepEqual(
      [runtime.tool_call_parser, runtime.reasoning_parser, runtime.exclude_tools_when_tool_choice_none],
      ["hermes", "deepseek_r1", false],
    );
    assert.deepEqual({ ...runtime.structural_tag, ...tag }, runtime.structural_tag);
    assert.deepEqual(
      [runtime.structural_tag_mode, runtime.structural_tag_scope, runtime.structural_tag_schema],
      ["on", "always", "strict"],
    );
    assert.deepEqual(
      [runtime.context_length, runtime.total_kv_blocks, runtime.max_num_seqs, runtime.max_num_batched_tokens],
      [2048, 1000, 64, 2048],
    );
    assert.equal(chat_template_file.hf_chat_template.is_custom, true);
  });
  await t.test("the context length in /v1/models", async () => {
    const { data } = await (await fetch(`${frontend.url}/v1/models`)).json() as { data: Record<string, unknown>[] };
    assert.equal(data[0]?.context_window, 2048);
  });
  await t.test("the template of the option makes the prompt", async () => {
    const { status, body } = await frontend.post(CHAT, chat("served", "hi", { max_tokens: 1 }));
    assert.equal(status, 200);
    const prompt = "[user]hi";
    assert.deepEqual(lastRequest(worker).token_ids, [...prompt].map((character) => character.charCodeAt(0) - 33));
    assert.equal(body.usage.prompt_tokens, prompt.length);
  });
});

test("a worker for completions only has no chats", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("completions-only");
  await using frontend = await startFrontend(store);
  await using _worker = await startReadyStator(store, { args: ["--delay", "0", "--endpoint-types", "completions"] });
  await frontend.listed(TINY_MODEL);
  assert.equal(cardOf(store, "sample/generate").model_type, "Completions");
  const { status } = await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 1 }));
  assert.equal(status, 404);
  const completed = await frontend.post(COMPLETIONS, { model: TINY_MODEL, prompt: "hi", max_tokens: 1 });
  assert.equal(completed.status, 200);
});

test("a frontend that routes by KV serves a worker that says nothing of its cache", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("bare");
  await using frontend = await startFrontend(store, {}, ["--router-mode", "kv"]);
  const env = { STATOR_TEST_BARE: "1" };
  await using worker = await startReadyStator(store, { program: RECORDING_WORKER, args: ["--delay", "0"], env });
  await frontend.listed(TINY_MODEL);
  const { runtime_config: runtime } = cardOf(store, "sample/generate");
  const unset = [runtime.total_kv_blocks, runtime.max_num_seqs, runtime.max_num_batched_tokens];
  assert.deepEqual([...unset, "context_length" in runtime], [null, null, null, false]);
  const { status } = await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 1 }));
  assert.equal(status, 200);
  assert.equal(lastRequest(worker).routing.dp_rank, 0, "the rank that the router chose");
});

/** The card of the only worker of an endpoint. */
// deno-lint-ignore no-explicit-any -- a card is compared, not used
function cardOf(store: Store, endpoint: string): any {
  const found = store.records().find(({ key }) => key.startsWith(`v1/mdc/dynamo/${endpoint}/`));
  assert.ok(found, store.keys().join("\n"));
  return (parseJson(found.text) as Record<string, unknown>).card_json;
}
