import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { builtinModelFiles } from "../../src/model/builtin.ts";
import { createChatTemplate } from "../../src/model/template.ts";
import { loadTextModel, type TextModel } from "../../src/model/text_model.ts";
import { encodeText } from "../../src/protocol/payload.ts";

const GOLDEN = new URL("../golden/request-plane/requests/", import.meta.url);

function builtin(): TextModel {
  const files = builtinModelFiles();
  return loadTextModel({
    tokenizer: files.get("tokenizer.json")!,
    tokenizerConfig: files.get("tokenizer_config.json")!,
    generationConfig: files.get("generation_config.json")!,
    config: files.get("config.json")!,
  });
}

test("builtinModelFiles() holds what a frontend needs, always the same bytes", () => {
  const files = builtinModelFiles();
  assert.deepEqual([...files.keys()], [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  assert.equal(builtinModelFiles(), files);
  const config = JSON.parse(new TextDecoder().decode(files.get("config.json")));
  assert.deepEqual(config.architectures, ["LlamaForCausalLM"]);
  assert.equal(config.max_position_embeddings, 8192);
  assert.deepEqual(builtin().eosTokenIds, [257]);
});

test("the built-in model gives the ids of the captured prompts", () => {
  const { tokenizer, template } = builtin();
  const { http_body, worker_request } = JSON.parse(readFileSync(new URL("chat_no_max.json", GOLDEN), "utf8"));
  assert.deepEqual(tokenizer.encode(template!.render(http_body.messages)), worker_request.token_ids);
  assert.deepEqual(tokenizer.encode("hello"), [71, 68, 75, 75, 78]);
  assert.deepEqual(tokenizer.encode(""), []);
});

test("the built-in tokenizer returns every text as it was", () => {
  const { tokenizer } = builtin();
  for (const text of ["a  b , c .", "äöüß", "日本語", "👩‍👩‍👧‍👦 e\u0301", "\t\r\n\0", "<|not special|>"]) {
    const ids = tokenizer.encode(text);
    assert.equal(tokenizer.decode(ids), text);
    assert.equal(ids.length, encodeText(text).length);
  }
});

test("decode() leaves special tokens out unless asked, and shows unknown ids as nothing", () => {
  const { tokenizer } = builtin();
  const ids = tokenizer.encode("<|user|>hi<|end|>");
  assert.deepEqual(ids, [258, 71, 72, 261]);
  assert.equal(tokenizer.decode(ids), "hi");
  assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), "<|user|>hi<|end|>");
  assert.equal(tokenizer.decode([71, 31_999, 262, 72]), "hi");
  assert.equal(tokenizer.decode([40_000]), "");
  assert.equal(tokenizer.idOf("<|eos|>"), 257);
  assert.equal(tokenizer.has(261), true);
  assert.equal(tokenizer.has(262), false);
});

test("createChatTemplate() prefers the template file, JSON or not, and takes named templates", () => {
  const config = (chat_template: unknown) =>
    encodeText(JSON.stringify({ chat_template, bos_token: { content: "<s>" }, eos_token: "</s>" }));
  const messages = [{ role: "user", content: "x" }];
  const tokenizerConfig = config("config");
  assert.equal(createChatTemplate({ tokenizerConfig })?.render(messages), "config");
  const chatTemplate = encodeText("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ add_generation_prompt }}");
  assert.equal(createChatTemplate({ tokenizerConfig, chatTemplate })?.render(messages), "<s>x</s>true");
  const inJson = encodeText(JSON.stringify({ chat_template: "json" }));
  assert.equal(createChatTemplate({ tokenizerConfig, chatTemplate: inJson })?.render(messages), "json");
  const named = config([{ name: "tool_use", template: "tools" }, { name: "default", template: "plain" }]);
  assert.equal(createChatTemplate({ tokenizerConfig: named })?.render(messages), "plain");
  assert.equal(createChatTemplate({ tokenizerConfig: config(undefined) }), null);
  const thinking = encodeText("{{ enable_thinking }}");
  assert.equal(createChatTemplate({ chatTemplate: thinking })?.render(messages, { enable_thinking: false }), "false");
});

test("loadTextModel() finds the end-of-sequence ids where the model says them", () => {
  const files = builtinModelFiles();
  const tokenizer = files.get("tokenizer.json")!;
  const json = (value: unknown) => encodeText(JSON.stringify(value));
  const find = (generation: unknown, config: unknown) =>
    loadTextModel({
      tokenizer,
      tokenizerConfig: files.get("tokenizer_config.json")!,
      generationConfig: json(generation),
      config: json(config),
    }).eosTokenIds;
  assert.deepEqual(find({ eos_token_id: [1, 2] }, { eos_token_id: 3 }), [1, 2]);
  assert.deepEqual(find({}, { eos_token_id: 3 }), [3]);
  assert.deepEqual(find({}, { text_config: { eos_token_id: 4 } }), [4]);
  assert.deepEqual(find({}, {}), [257]);
  assert.deepEqual(loadTextModel({ tokenizer }).eosTokenIds, []);
});
