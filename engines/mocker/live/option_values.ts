/**
 * Settings of the live mock engine, out of its flags and the files they name.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type OptionValues, UsageError, type WorkerPlace } from "@stator/worker";
import type { DynamoArgs } from "../dynamo_args.ts";
import { type LaunchArgs, parseLaunchArgs } from "../launch_args.ts";
import { readTimingTable } from "../npz.ts";
import { kvBytesPerToken } from "./model_bytes.ts";
import { refusalOf } from "./option_rows.ts";
import { parsePlannedAnswers, type PlannedAnswers } from "./planned_answers.ts";
import { withPorts } from "./port_lists.ts";
import { roleOf } from "./role.ts";
import type { MockerSettings } from "./settings.ts";

const ALONE: WorkerPlace = { index: 0, count: 1 };

/** What the workers of a process have in common. */
type SharedSettings = Pick<MockerSettings, "launch" | "table" | "plannedAnswers">;

/** Files are read once for all workers of a process, whose engines are made of the same values. */
const shared = new WeakMap<OptionValues, Promise<SharedSettings>>();

/**
 * Reads the settings of one worker.
 *
 * @throws {UsageError} If a value or a file cannot be used.
 */
export async function settingsOf(values: OptionValues, place: WorkerPlace = ALONE): Promise<MockerSettings> {
  const { index } = place;
  try {
    const reading = shared.get(values) ?? sharedSettings(values);
    shared.set(values, reading);
    const { launch, ...files } = await reading;
    const number = (key: string) => values[key] as number;
    return {
      modelName: (values.modelName ?? values.modelPath ?? "stator-mocker") as string,
      ...files,
      launch: { ...placed(launch, index), dynamo: withPorts(launch.dynamo, values, place) },
      ...(values.bootstrapHost === undefined ? {} : { bootstrapHost: values.bootstrapHost as string }),
      ...(values.defaultMaxTokens === undefined ? {} : { defaultMaxTokens: number("defaultMaxTokens") }),
      slowStartMs: 1000 * (values.slowStart as number | undefined ?? 0),
      cacheAnswers: values.cacheAnswers === true,
      answers: {
        firstTokenId: number("firstTokenId"),
        tokenIds: number("tokenIds"),
        seed: number("answerSeed"),
        honourStops: values.honourStops === true,
        eosRate: number("eosRate"),
        reasoning: launch.dynamo.reasoning,
      },
      faults: {
        failRate: number("failRate"),
        hangRate: number("hangRate"),
        stallRate: number("stallRate"),
        stallSeconds: number("stallTime"),
        // Workers that all fail at the same time are no test of those who choose among them.
        seed: number("answerSeed") + index,
      },
    };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`mock engine: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function sharedSettings(values: OptionValues): Promise<SharedSettings> {
  const launch = await launchOf(values);
  const { engine: { timing_model: timing }, dynamo: { response_replay_trace_path: trace } } = launch;
  return {
    launch,
    ...(timing.type === "external"
      ? { table: await readTimingTable(new Uint8Array(await readFile(timing.config.path))) }
      : {}),
    ...(trace === null ? {} : { plannedAnswers: await readPlannedAnswers(trace) }),
  };
}

/** The drafts of no two workers are the same. */
function placed(launch: LaunchArgs, index: number): LaunchArgs {
  return { ...launch, engine: { ...launch.engine, aic_mtp_seed: launch.engine.aic_mtp_seed + index } };
}

async function readPlannedAnswers(path: string): Promise<PlannedAnswers> {
  try {
    return parsePlannedAnswers(await readFile(path, "utf8"));
  } catch (error) {
    throw new UsageError(`--response-replay-trace-path ${path}: ${(error as Error).message}`);
  }
}

async function launchOf(values: OptionValues): Promise<LaunchArgs> {
  const refusal = refusalOf(values);
  if (refusal !== undefined) throw new UsageError(refusal);
  const role = roleOf(values);
  const given = values.extraEngineArgs as string | undefined;
  const raw = await (given === undefined ? fromFlags(values) : fromJson(given));
  const launch = parseLaunchArgs(raw);
  checkDynamoArgs(raw, launch, values);
  const { worker_type } = launch.engine;
  if (worker_type !== "aggregated" && worker_type !== role) {
    throw new UsageError(
      `--extra-engine-args: worker_type ${worker_type} needs --disaggregation-mode ${worker_type}`,
    );
  }
  if (launch.engine.backend === "trtllm" && role !== "aggregated") {
    throw new UsageError("--engine-type trtllm: a mock engine of this type cannot hand over; choose vllm or sglang");
  }
  if (launch.engine.g3_offload !== undefined) {
    throw new UsageError("--extra-engine-args: g3_offload is for replays only; leave it out");
  }
  const { kv_transfer_bytes_per_token: sizeGiven, kv_transfer_bandwidth: bandwidth } = launch.engine;
  const bytes = sizeGiven ?? ((bandwidth ?? 0) === 0 ? null : await modelBytes(values, "--kv-transfer-bandwidth"));
  return { ...launch, engine: { ...launch.engine, worker_type: role, kv_transfer_bytes_per_token: bytes } };
}

/** What the worker decides, or has no use for. */
function checkDynamoArgs(raw: unknown, { dynamo }: LaunchArgs, { localIndexer }: OptionValues): void {
  if (dynamo.router_queue_policy !== null) {
    throw new UsageError(
      "dynamo.router_queue_policy: a worker has no router; leave it out, or give it to the frontend",
    );
  }
  const { enable_local_indexer: wanted } = (raw as { dynamo?: Partial<DynamoArgs> }).dynamo ?? {};
  if (wanted === false && localIndexer !== false) {
    throw new UsageError("dynamo.enable_local_indexer: the worker has it on; give --no-local-indexer, or leave it out");
  }
}

async function fromJson(given: string): Promise<unknown> {
  const isInline = given.trimStart().startsWith("{");
  const json = isInline ? given : await readFile(given, "utf8");
  return parseJson(isInline ? "--extra-engine-args" : given, json);
}

/** What the flags say, in the form of engine arguments. */
async function fromFlags(values: OptionValues): Promise<unknown> {
  const backend = values.engineType;
  const profile = values.plannerProfileData as string | undefined;
  const host = hostOffloadOf(values);
  const engine = {
    backend,
    num_gpu_blocks: values.numGpuBlocksOverride,
    block_size: backend === "sglang" ? pageSize(values) : values.blockSize,
    max_model_len: values.maxModelLen,
    max_num_seqs: values.maxNumSeqs,
    max_num_batched_tokens: values.maxNumBatchedTokens,
    enable_prefix_caching: values.enablePrefixCaching,
    enable_chunked_prefill: values.enableChunkedPrefill,
    preemption_mode: values.preemptionMode,
    speedup_ratio: values.speedupRatio,
    decode_speedup_ratio: values.decodeSpeedupRatio,
    aic_nextn: values.aisNextn,
    aic_nextn_accept_rates: values.aisNextnAcceptRates,
    aic_mtp_seed: values.aisMtpSeed,
    kv_transfer_bandwidth: values.kvTransferBandwidth,
    kv_transfer_timing_mode: values.kvTransferTimingMode,
    kv_transfer_bytes_per_token: values.kvBytesPerToken,
    native_host_offload: host,
    kv_cache_bytes_per_token: host && (values.kvBytesPerToken ?? await modelBytes(values, "--num-host-blocks")),
    timing_model: profile && { type: "external", provider: "dynamo_profile", config: { path: profile } },
    sglang: {
      schedule_policy: values.sglangSchedulePolicy === "fcfs" ? "fifo" : values.sglangSchedulePolicy,
      max_prefill_tokens: values.sglangMaxPrefillTokens,
      chunked_prefill_size: values.sglangChunkedPrefillSize,
      clip_max_new_tokens: values.sglangClipMaxNewTokens,
      schedule_conservativeness: values.sglangScheduleConservativeness,
    },
    trtllm: { capacity_scheduler_policy: values.trtllmCapacitySchedulerPolicy },
  };
  const dynamo = {
    enable_local_indexer: true,
    reasoning: values.reasoning && parseJson("--reasoning", values.reasoning as string),
    response_replay_trace_path: values.responseReplayTracePath,
  };
  return withoutUnset({
    engine: withoutUnset(engine),
    dp_size: values.dataParallelSize,
    startup_time: values.startupTime,
    gpu_memory_utilization: values.gpuMemoryUtilization,
    mem_fraction_static: values.memFractionStatic,
    free_gpu_memory_fraction: values.freeGpuMemoryFraction,
    dynamo: withoutUnset(dynamo),
  });
}

/** A page is a block by an older name. */
function pageSize({ blockSize, sglangPageSize }: OptionValues): unknown {
  if (blockSize === undefined || sglangPageSize === undefined || blockSize === sglangPageSize) {
    return blockSize ?? sglangPageSize;
  }
  throw new UsageError(`--sglang-page-size ${sglangPageSize} contradicts --block-size ${blockSize}; give the latter`);
}

function parseJson(source: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${source}: this is no JSON: ${(error as Error).message}`);
  }
}

/** @source dynamo 1.6.1, `dynamo/mocker/config.py`, `_build_native_host_offload` */
function hostOffloadOf(values: OptionValues): Record<string, unknown> | undefined {
  const bandwidths = withoutUnset({
    d2h_bandwidth_gbps: values.hostOffloadD2hBandwidthGbps,
    h2d_bandwidth_gbps: values.hostOffloadH2dBandwidthGbps,
  });
  if (values.numHostBlocks !== undefined) return { num_host_blocks: values.numHostBlocks, ...bandwidths };
  if (Object.keys(bandwidths).length === 0) return undefined;
  throw new UsageError("--host-offload-*: these flags require --num-host-blocks");
}

async function modelBytes(values: OptionValues, flag: string): Promise<number> {
  const folder = (values.modelPath ?? values.modelName) as string | undefined;
  let bytes: number | undefined;
  try {
    const config = JSON.parse(await readFile(join(folder ?? "", "config.json"), "utf8"));
    bytes = kvBytesPerToken(config, values.kvCacheDtype as string);
  } catch {
    // Told below, like a file that says too little.
  }
  if (bytes !== undefined) return bytes;
  throw new UsageError(`${flag}: the model's config.json has no sizes; give --kv-bytes-per-token too`);
}

function withoutUnset(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
