import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { chunks } from "../support/mini_worker.ts";
import { startMiniStack } from "../support/mini_stack.ts";
import { CHAT, CHAT_PATH, type Json, json } from "../support/openai_json.ts";

const ENDS: Json = JSON.parse(
  readFileSync(new URL("../golden/contract/http/finish_reasons.json", import.meta.url), "utf8"),
);
for (const reason of Object.keys(ENDS)) {
  test(`finish reason ${reason} shows as in the real frontend`, async () => {
    const finish_reason = reason === "error__boom" ? "error: boom" : reason;
    await using stack = await startMiniStack(chunks({ token_ids: [72, 94, 33], finish_reason }));
    const response = await stack.post(CHAT_PATH, CHAT);
    const body = await json(response);
    const golden = ENDS[reason].unary;
    if (golden.code === undefined) {
      assert.equal(body.choices[0].finish_reason, golden.choices[0].finish_reason);
      assert.equal(body.choices[0].message.content, golden.choices[0].message.content);
    } else {
      assert.equal(response.status, golden.code);
      assert.equal(body.error.message, golden.message);
    }
  });
}

const ODD: Json = JSON.parse(
  readFileSync(new URL("../golden/contract/http/chunks_to_http.json", import.meta.url), "utf8"),
);
for (const name of Object.keys(ODD)) {
  test(`the chunks "${name}" become the real frontend's answer`, async () => {
    await using stack = await startMiniStack(chunks(...ODD[name].engine_chunks));
    const response = await stack.post(CHAT_PATH, { ...CHAT, logprobs: true });
    const body = await json(response);
    const golden = ODD[name].http_unary;
    if (golden.code !== undefined) {
      assert.equal(response.status, golden.code);
      assert.equal(body.error.message, golden.message);
    } else if (golden.choices.length === 0) {
      assert.equal(body.choices[0].message.content, "");
      assert.equal(body.choices[0].finish_reason, null);
    } else {
      assert.deepEqual(body.choices[0].message, golden.choices[0].message);
      assert.equal(body.choices[0].finish_reason, golden.choices[0].finish_reason);
      if (golden.usage !== undefined) {
        assert.equal(body.usage.completion_tokens, golden.usage.completion_tokens);
      }
    }
  });
}
