import assert from "node:assert/strict";
import { test } from "node:test";
import { kvBytesPerToken } from "../../../engines/mocker/live/model_bytes.ts";

const SIZES = { num_hidden_layers: 2, num_attention_heads: 4, hidden_size: 64 };

for (
  const [what, config, dtype, bytes] of [
    ["all heads, two bytes", SIZES, "auto", 2 * 2 * 4 * 16 * 2],
    ["fewer KV heads", { ...SIZES, num_key_value_heads: 1 }, "auto", 2 * 2 * 16 * 2],
    ["the model's type", { ...SIZES, torch_dtype: "float32" }, "auto", 2 * 2 * 4 * 16 * 4],
    ["the newer name of it", { ...SIZES, dtype: "torch.float32", torch_dtype: "float16" }, "auto", 2 * 2 * 4 * 16 * 4],
    ["a type that is set", { ...SIZES, torch_dtype: "float32" }, "fp8", 2 * 2 * 4 * 16],
    ["the width of a head by its heads", { ...SIZES, head_dim: 99 }, "bfloat16", 2 * 2 * 4 * 16 * 2],
    ["a language model among others", { thinker_config: { text_config: SIZES } }, "auto", 2 * 2 * 4 * 16 * 2],
    ["no sizes", { hidden_size: 64 }, "auto", undefined],
    ["no config", null, "auto", undefined],
  ] as const
) {
  test(`bytes of a token: ${what}`, () => assert.equal(kvBytesPerToken(config, dtype), bytes));
}
