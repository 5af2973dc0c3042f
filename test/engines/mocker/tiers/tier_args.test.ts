import assert from "node:assert/strict";
import { test } from "node:test";
import { createGroup } from "../../../../engines/mocker/engine_factory.ts";
import { parseLaunchArgs } from "../../../../engines/mocker/launch_args.ts";
import { TierPools } from "../../../../engines/mocker/tiers/tier_pools.ts";

const host = { num_host_blocks: 4 };
const disk = { scope: "worker_local", num_g3_blocks: 4 };
const engine = (more: object) => ({ engine: { kv_cache_bytes_per_token: 8, ...more } });
const group = { name: "a", kind: "attention", num_layers: 1, block_size_tokens: 4, page_size_bytes: 64 };
const grouped = (more: object) => ({
  engine: { enable_prefix_caching: false, kv_cache_capacity_bytes: 1024, kv_cache_groups: [group], ...more },
});

const BAD: readonly (readonly [unknown, string])[] = [
  [engine({ native_host_offload: {} }), "engine.native_host_offload: missing field `num_host_blocks`"],
  [engine({ native_host_offload: { num_host_blocks: 0 } }), "native_host_offload.num_host_blocks must be positive"],
  [engine({ native_host_offload: { ...host, blocks: 1 } }), "engine.native_host_offload.blocks: unknown field"],
  [engine({ native_host_offload: { ...host, scope: "worker_local" } }), "engine.native_host_offload.scope: unknown"],
  [
    engine({ native_host_offload: { ...host, h2d_bandwidth_gbps: -1 } }),
    "native_host_offload.h2d_bandwidth_gbps must be finite and non-negative",
  ],
  [
    engine({ native_host_offload: { ...host, scope: "cluster_shared", kv_layout_id: " " } }),
    "cluster_shared native_host_offload requires a nonempty kv_layout_id",
  ],
  [engine({ native_host_offload: host, backend: "trtllm" }), "native_host_offload is supported only for backend=vllm"],
  [
    engine({ native_host_offload: host, enable_prefix_caching: false }),
    "native_host_offload requires enable_prefix_caching=true",
  ],
  [engine({ native_host_offload: host, aic_nextn: 1 }), "native_host_offload does not support aic_nextn"],
  [
    engine({ native_host_offload: { ...host, d2h_bandwidth_gbps: 1e-320 } }),
    "native_host_offload.d2h_bandwidth_gbps produces an unrepresentable transfer duration",
  ],
  [{ engine: { kv_cache_bytes_per_token: 0 } }, "kv_cache_bytes_per_token must be positive"],
  [engine({ g3_offload: disk }), "g3_offload requires native_host_offload"],
  [engine({ g3_offload: { num_g3_blocks: 1 } }), "engine.g3_offload: missing field `scope`"],
  [engine({ native_host_offload: host, g3_offload: { ...disk, num_g3_blocks: 0 } }), "g3_offload.num_g3_blocks must"],
  [
    engine({ native_host_offload: host, g3_offload: { ...disk, latency_to_first_byte_ms: -1 } }),
    "g3_offload timing must be finite and non-negative",
  ],
  [
    engine({ native_host_offload: host, g3_offload: disk, worker_type: "decode" }),
    "g3_offload is supported only for worker_type=aggregated",
  ],
  [
    { ...engine({ native_host_offload: host, g3_offload: disk }), dp_size: 2 },
    "g3_offload supports only dp_size=1",
  ],
  [grouped({ kv_cache_groups: [] }), "kv_cache_capacity_bytes requires kv_cache_groups"],
  [grouped({ enable_prefix_caching: true }), "kv_cache_groups currently require enable_prefix_caching=false"],
  [grouped({ worker_type: "prefill" }), "kv_cache_groups currently require backend=vllm and worker_type=aggregated"],
  [grouped({ aic_nextn: 1 }), "kv_cache_groups currently do not support speculative decoding"],
  [grouped({ kv_cache_bytes_per_token: 1 }), "kv_cache_groups cannot use linear cache"],
  [grouped({ kv_cache_capacity_bytes: 0 }), "kv_cache_groups require positive kv_cache_capacity_bytes"],
  [grouped({ kv_cache_groups: [group, group] }), "duplicate KV cache group name"],
  [grouped({ kv_cache_groups: [{ ...group, num_layers: 0 }] }), "cache group requires a name"],
  [grouped({ kv_cache_groups: [{ ...group, kind: "convolution" }] }), "convolution cache groups require a sliding_win"],
  [grouped({ kv_cache_groups: [{ name: "a" }] }), "engine.kv_cache_groups[0]: missing field `kind`"],
];

for (const [value, message] of BAD) {
  test(`parseLaunchArgs() refuses ${JSON.stringify(value)}`, () => {
    assert.throws(() => parseLaunchArgs(value), (error: Error) => {
      assert.equal(error.message.slice(0, message.length), message);
      return true;
    });
  });
}

test("parseLaunchArgs() fills in the defaults of the tiers, and leaves out what the peer leaves out", () => {
  const { engine: args } = parseLaunchArgs(engine({
    native_host_offload: { ...host, scope: "dp_rank_local", shared_d2h_bandwidth_gbps: 80, kv_layout_id: null },
    g3_offload: disk,
  }));
  assert.deepEqual(args.native_host_offload, { num_host_blocks: 4, d2h_bandwidth_gbps: 32, h2d_bandwidth_gbps: 32 });
  assert.deepEqual(args.g3_offload, {
    ...disk,
    latency_to_first_byte_ms: 0.1,
    read_bandwidth_gbps: 10,
    write_bandwidth_gbps: 10,
    shared_read_bandwidth_gbps: 80,
    shared_write_bandwidth_gbps: 80,
  });
});

test("ranks that do not agree about a block cannot share a host tier", () => {
  const args = (layout: string) =>
    parseLaunchArgs(engine({
      native_host_offload: { ...host, scope: "cluster_shared", kv_layout_id: layout },
    })).engine;
  const tierPools = new TierPools();
  createGroup(args("a"), 2, 0, { tierPools });
  assert.throws(() => createGroup(args("b"), 1, 1, { tierPools }), /participants are incompatible/);
  assert.throws(() => createGroup(args("a"), 1, 1, { tierPools, tensorParallelSize: 2 }), /incompatible/);
});
