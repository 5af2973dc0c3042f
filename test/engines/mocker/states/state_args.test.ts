import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLaunchArgs, rankArgs } from "../../../../engines/mocker/launch_args.ts";
import { blocksPerState } from "../../../../engines/mocker/states/state_args.ts";

const STATE = {
  block_size: 16,
  num_gpu_blocks: 4,
  kv_cache_bytes_per_token: 256,
  state_cache: { bytes_per_request: 6000 },
};
/** Arguments as a file gives them: what is undefined is not there. */
const engine = (more: object) => JSON.parse(JSON.stringify({ engine: { ...STATE, ...more } }));
const host = { num_host_blocks: 4 };
const EXPLICIT = "state_cache requires explicit num_gpu_blocks, block_size and kv_cache_bytes_per_token";

const BAD: readonly (readonly [object, string])[] = [
  [{ state_cache: {} }, "engine.state_cache: missing field `bytes_per_request`"],
  [{ state_cache: { bytes_per_request: 1, blocks: 1 } }, "engine.state_cache.blocks: unknown field"],
  [{ state_cache: { bytes_per_request: 0 } }, "state_cache.bytes_per_request must be positive"],
  [{ block_size: undefined }, EXPLICIT],
  [{ num_gpu_blocks: undefined }, EXPLICIT],
  [{ kv_cache_bytes_per_token: undefined }, EXPLICIT],
  [{ kv_cache_bytes_per_token: 0 }, "state_cache requires positive kv_cache_bytes_per_token"],
  [{ block_size: 1 }, "state_cache requires block_size at least two"],
  [{ block_size: 2 ** 32, kv_cache_bytes_per_token: 2 ** 32 }, "KV block byte size overflowed"],
  [{ num_gpu_blocks: 2 }, "state_cache capacity must fit one token block and one working state"],
  [{ backend: "trtllm" }, "state_cache is supported only for backend=vllm"],
  [{ worker_type: "decode" }, "state_cache is supported only for worker_type=aggregated"],
  [{ native_host_offload: host }, "state_cache does not support native_host_offload in the G1-only implementation"],
  [
    { g3_offload: { scope: "worker_local", num_g3_blocks: 1 } },
    "state_cache does not support g3_offload in the G1-only implementation",
  ],
  [{ kv_bytes_per_token: 1 }, "state_cache does not support kv_transfer_bytes_per_token or kv_transfer_bandwidth"],
  [{ kv_transfer_bandwidth: 0 }, "state_cache does not support kv_transfer_bytes_per_token or kv_transfer_bandwidth"],
  [
    { kv_transfer_timing_mode: "destination_missing" },
    "state_cache does not support non-default kv_transfer_timing_mode",
  ],
  [{ prefix_match_unit: 0 }, "prefix_match_unit must be a positive divisor of block_size"],
  [{ prefix_match_unit: 3 }, "prefix_match_unit must be a positive divisor of block_size"],
  [{ prefix_match_unit: 4, state_cache: null }, "prefix_match_unit currently requires state_cache"],
  [{ prefix_match_unit: 4, emit_kv_events: true }, "prefix_match_unit does not yet support KV event export"],
  [{ prefix_match_unit: 4, aic_nextn: 1 }, "prefix_match_unit does not support speculative decoding"],
];

for (const [more, message] of BAD) {
  const shown = JSON.stringify(more, (_key, value) => value === undefined ? "nothing" : value);
  test(`parseLaunchArgs() refuses ${shown} with states`, () => {
    assert.throws(() => parseLaunchArgs(engine(more)), (error: Error) => error.message.startsWith(message));
  });
}

test("parseLaunchArgs() keeps states and units, and leaves both out when there are none", () => {
  const { state_cache, prefix_match_unit } = parseLaunchArgs(engine({ prefix_match_unit: 4 })).engine;
  assert.deepEqual([state_cache, prefix_match_unit], [{ bytes_per_request: 6000 }, 4]);
  const without = parseLaunchArgs(engine({ state_cache: null, prefix_match_unit: null })).engine;
  assert.deepEqual(["state_cache" in without, "prefix_match_unit" in without], [false, false]);
});

test("rankArgs() refuses a router that wants events of a cache with units", () => {
  const args = parseLaunchArgs(engine({ prefix_match_unit: 4 }));
  assert.throws(() => rankArgs(args, true), /prefix_match_unit does not yet support KV event export/);
  assert.equal(rankArgs(args, false).emit_kv_events, false);
});

test("a state fills whole blocks", () => {
  const sizes = [1, 4096, 4097].map((bytes_per_request) => blocksPerState({ bytes_per_request }, 16, 256));
  assert.deepEqual(sizes, [1, 1, 2]);
});
