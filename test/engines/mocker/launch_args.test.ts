import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLaunchArgs, rankArgs } from "../../../engines/mocker/launch_args.ts";
import { goldenText } from "../../support/golden.ts";

for (const name of ["default", "host_offload", "mtp", "prefill", "sglang", "trtllm", "unbounded"]) {
  test(`the arguments ${name} are filled in as the peer does`, () => {
    const { input, normalized } = JSON.parse(goldenText(`mocker/configs/${name}.json`));
    assert.deepEqual(JSON.parse(JSON.stringify(parseLaunchArgs(input))), normalized);
  });
}

const engine = (fields: Record<string, unknown>) => ({ engine: fields });
const BAD: readonly (readonly [unknown, string])[] = [
  [[], "Mocker config must be an object"],
  [{ block_size: 16 }, "block_size: unknown field `block_size`, expected one of `engine`, `dp_size`"],
  [engine({ watermark: 0.1 }), "engine.watermark: unknown field `watermark`"],
  [engine({ sglang: { page_size: 4 } }), "engine.sglang.page_size: unknown field `page_size`"],
  [{ dynamo: { foo: 1 } }, "dynamo.foo: unknown field `foo`"],
  [engine({ num_gpu_blocks: null }), "engine.num_gpu_blocks: invalid type: null"],
  [engine({ block_size: "16" }), "engine.block_size: invalid type: string"],
  [engine({ backend: "x" }), "engine.backend: unknown variant `x`, expected one of `vllm`, `sglang`, `trtllm`"],
  [
    engine({ backend: "sglang", sglang: { schedule_policy: "fcfs" } }),
    "engine.sglang.schedule_policy: unknown variant",
  ],
  [engine({ timing_model: { type: "fixed" } }), "engine.timing_model: missing field `prefill_ms`"],
  [engine({ num_gpu_blocks: 0 }), "num_gpu_blocks must be positive"],
  [engine({ max_model_len: 0 }), "max_model_len must be positive"],
  [engine({ block_size: 1 }), "vLLM/TRT-LLM block_size must be at least two"],
  [engine({ speedup_ratio: -1 }), "speedup_ratio must be finite and non-negative"],
  [engine({ aic_nextn: 6 }), "aic_nextn must be in 1..=5, got 6"],
  [engine({ aic_nextn: 2, decode_speedup_ratio: 2 }), "aic_nextn requires decode_speedup_ratio=1.0"],
  [
    engine({ aic_nextn: 2, aic_nextn_accept_rates: "2" }),
    "aic_nextn_accept_rates[0] must be finite and in [0, 1], got 2",
  ],
  [engine({ aic_nextn_accept_rates: "1" }), "aic_nextn_accept_rates requires aic_nextn"],
  [engine({ prefill_decode_interval: 1 }), "prefill_decode_interval is supported only for backend=sglang"],
  [engine({ backend: "sglang", prefill_schedule_interval: 2 }), "prefill_schedule_interval is supported only"],
  [engine({ backend: "sglang", enable_chunked_prefill: false }), "enable_chunked_prefill=false is not supported"],
  [
    engine({ backend: "sglang", block_size: 16, sglang: { chunked_prefill_size: 100 } }),
    "sglang.chunked_prefill_size must be divisible by block_size",
  ],
  [engine({ native_host_offload: { num_host_blocks: 5 } }), "native_host_offload requires kv_cache_bytes_per_token"],
  [
    engine({ timing_model: { type: "external", provider: "ais", config: {} } }),
    'unsupported external timing provider "ais"',
  ],
  [{ dp_size: 0 }, "dp_size must be positive"],
  [{ startup_time: -1 }, "startup_time must be finite and non-negative"],
  [{ gpu_memory_utilization: 2 }, "gpu_memory_utilization must be finite and in [0, 1]"],
  [{ dynamo: { handoff_session_timeout_ms: 0 } }, "handoff_session_timeout_ms must be positive"],
];

for (const [value, message] of BAD) {
  test(`parseLaunchArgs() refuses ${JSON.stringify(value)}`, () => {
    assert.throws(() => parseLaunchArgs(value), (error: Error) => error.message.startsWith(message));
  });
}

test("rankArgs() divides SGLang's chunk among the ranks", () => {
  const args = parseLaunchArgs({ dp_size: 2, engine: { backend: "sglang" } });
  const { sglang } = rankArgs(args, false);
  assert.deepEqual([sglang.chunked_prefill_size, sglang.schedule_conservativeness], [4096, 0.3]);
});
