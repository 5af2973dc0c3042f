import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineRequest } from "../../../../engines/mocker/engine_request.ts";
import { alignedTokens } from "../../../../engines/mocker/states/state_alignment.ts";
import { rankArgs, spec } from "../../../support/mock_requests.ts";

const STATE = {
  num_gpu_blocks: 16,
  kv_cache_bytes_per_token: 4,
  state_cache: { bytes_per_request: 16 },
  block_size: 16,
};

/** What is computed of a prompt of 70 tokens. */
function aligned(from: number, wanted: number, more = {}): number {
  const args = { ...rankArgs({ ...STATE, max_num_batched_tokens: 32, ...more }), prefix_match_unit: 4 };
  return alignedTokens(args, new EngineRequest(spec(1, [], 9, { promptTokens: 70 })), from, wanted);
}

test("a part of a prompt ends with a block, and does not begin within one", () => {
  assert.deepEqual([aligned(0, 30), aligned(0, 32), aligned(16, 10), aligned(20, 30)], [16, 32, 0, 12]);
});

test("the last full block and the last unit end a pass of their own", () => {
  assert.deepEqual([aligned(0, 70), aligned(64, 6), aligned(68, 2)], [64, 4, 2]);
});

test("a block that no pass can hold is computed in parts", () => {
  assert.deepEqual([aligned(0, 10, { max_num_batched_tokens: 10 }), aligned(10, 10)], [10, 6]);
});

test("answers, and caches that find nothing, are not aligned", () => {
  assert.deepEqual([aligned(70, 1), aligned(0, 30, { enable_prefix_caching: false })], [1, 30]);
});
