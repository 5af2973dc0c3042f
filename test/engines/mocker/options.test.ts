/** Flags and JSON of the peer: its old names, what contradicts itself, and what is refused by name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWorkerArgs } from "@stator/worker";
import { module } from "@stator/worker/engines/mocker";
import { resolveRows } from "../../../src/worker/command_line.ts";
import { WORKER_OPTIONS } from "../../../src/worker/option_rows.ts";
import { settingsOf } from "../../../engines/mocker/live/option_values.ts";
import { openTemporaryDirectory, openTemporaryFile } from "../../support/files.ts";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

const parse = (...flags: string[]) => parseWorkerArgs(flags, module);
const first = { index: 0, count: 1 };
const values = (given: object) => resolveRows([...WORKER_OPTIONS, ...module.options], { ...given }, {});
const launch = async (given: object) => (await settingsOf(values(given), first)).launch;

test("the old flags of a role do what the mode does, and none of it twice", async () => {
  for (const role of ["prefill", "decode"]) {
    const { options } = await parse(`--is-${role}-worker`);
    assert.deepEqual([options.disaggregationMode, options.component], [role, role === "prefill" ? role : "backend"]);
    for (const mode of ["agg", "prefill", "decode"].filter((mode) => mode !== role)) {
      const both = parse(`--is-${role}-worker`, "--disaggregation-mode", mode);
      await assert.rejects(both, /give only --disaggregation-mode/, mode);
    }
  }
  await assert.rejects(parse("--is-prefill-worker", "--disaggregation-mode", "prefill"), /give only/);
  await assert.rejects(parse("--is-prefill-worker", "--is-decode-worker"), /one of them at most/);
  assert.equal((await parse()).options.disaggregationMode, "agg");
});

for (
  const [flags, message] of [
    [["--sglang-generate"], /--sglang-generate: there is no native \/generate/],
    [["--ais-perf-model"], /--ais-perf-model: there is no external latency model.*--planner-profile-data/],
    [["--aic-system", "h200_sxm"], /--ais-system: there is no external latency model/],
    [["--ais-perf-config", "{}"], /--ais-perf-config: /],
    [["--ais-nextn=1", "--aic-nextn=1"], /--ais-nextn and --aic-nextn are one option/],
    [["--engine-type", "sglang", "--sglang-page-size=4", "--block-size=8"], /--sglang-page-size 4 contradicts/],
    [["--gpu-memory-utilization", "1.5"], /--gpu-memory-utilization.*from 0 to 1/],
    [["--trtllm-capacity-scheduler-policy", "max_utilization"], /one of guaranteed_no_evict/],
    [["--extra-engine-args", "{"], /--extra-engine-args: this is no JSON/],
    [
      ["--extra-engine-args", '{"dynamo":{"router_queue_policy":"fcfs"}}'],
      /dynamo.router_queue_policy: a worker has no/,
    ],
    [["--extra-engine-args", '{"dynamo":{"enable_local_indexer":false}}'], /enable_local_indexer.*--no-local-indexer/],
    [["--extra-engine-args", '{"dynamo":{"bootstrap_prot":1}}'], /dynamo.bootstrap_prot: unknown field/],
    [
      ["--extra-engine-args", '{"dynamo":{"zmq_kv_events_port":70000}}'],
      /zmq_kv_events_port: 70000 is more than 65535/,
    ],
    [["--extra-engine-args", '{"dynamo":{"reasoning":{"ratio":1}}}'], /dynamo.reasoning.ratio: unknown field/],
  ] as const
) {
  test(`bad usage: ${flags.join(" ")}`, async () => {
    await assert.rejects(parse(...flags), { name: "UsageError", message });
  });
}

test("flags without effect are taken, and old names do what the new ones do", async () => {
  const { engine, ...rest } = await launch({ gpuMemoryUtilization: 0.8, engineType: "sglang", sglangPageSize: 16 });
  assert.deepEqual([rest.gpu_memory_utilization, engine.block_size], [0.8, 16]);
  assert.equal((await launch({ engineType: "vllm", sglangPageSize: 16 })).engine.block_size, 64);
  await parse("--aic-nextn", "2", "--aic-nextn-accept-rates", "0.5,0.5");
  const kept = '{"dynamo":{"enable_local_indexer":false}}';
  const { dynamo } = await launch({ extraEngineArgs: kept, localIndexer: false });
  assert.equal(dynamo.enable_local_indexer, false);
});

test("the bytes of a token come from the model when transfers take time, flags or JSON", async () => {
  await using folder = await openTemporaryDirectory();
  const config = { num_hidden_layers: 2, num_attention_heads: 4, hidden_size: 64, torch_dtype: "bfloat16" };
  await writeFile(join(folder.path, "config.json"), JSON.stringify(config));
  const bytes = async (given: object) =>
    (await launch({ ...given, modelPath: folder.path })).engine.kv_transfer_bytes_per_token;
  assert.equal(await bytes({}), null);
  assert.equal(await bytes({ kvTransferBandwidth: 0 }), null);
  assert.equal(await bytes({ kvTransferBandwidth: 1 }), 512);
  assert.equal(await bytes({ kvTransferBandwidth: 1, kvCacheDtype: "fp8" }), 256);
  assert.equal(await bytes({ extraEngineArgs: '{"engine":{"kv_transfer_bandwidth":1}}' }), 512);
  const given = '{"engine":{"kv_transfer_bandwidth":1,"kv_bytes_per_token":7}}';
  assert.equal(await bytes({ extraEngineArgs: given }), 7);
});

test("workers of a process share files, draft by seeds of their own and fail at other times", async () => {
  await using trace = await openTemporaryFile("t.jsonl", '{"output_token_ids":[1],"output_length":1}');
  const same = values({ responseReplayTracePath: trace.path, aisNextn: 1, aisMtpSeed: 7, answerSeed: 3 });
  const [one, two] = [await settingsOf(same, first), await settingsOf(same, { index: 1, count: 2 })];
  assert.equal(one.plannedAnswers, two.plannedAnswers);
  assert.deepEqual([one.launch.engine.aic_mtp_seed, two.launch.engine.aic_mtp_seed], [7, 8]);
  assert.deepEqual([one.faults.seed, two.faults.seed, two.answers.seed], [3, 4, 3]);
});
