/**
 * Settings of the live mock engine, out of its flags and the files they name.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type OptionValues, UsageError } from "@stator/worker";
import { type LaunchArgs, parseLaunchArgs } from "../launch_args.ts";
import { readTimingTable } from "../npz.ts";
import { type MockerSettings, roleOf } from "./settings.ts";

/**
 * Reads the settings.
 *
 * @throws {UsageError} If a value or a file cannot be used.
 */
export async function settingsOf(values: OptionValues): Promise<MockerSettings> {
  try {
    const launch = await launchOf(values);
    const { timing_model: timing } = launch.engine;
    const number = (key: string) => values[key] as number;
    const table = timing.type === "external"
      ? await readTimingTable(new Uint8Array(await readFile(timing.config.path)))
      : undefined;
    return {
      modelName: values.modelName as string | undefined ?? "stator-mocker",
      launch,
      ...(table === undefined ? {} : { table }),
      ...(values.bootstrapHost === undefined ? {} : { bootstrapHost: values.bootstrapHost as string }),
      ...(values.defaultMaxTokens === undefined ? {} : { defaultMaxTokens: number("defaultMaxTokens") }),
      cacheAnswers: values.cacheAnswers === true,
      answers: {
        firstTokenId: number("firstTokenId"),
        tokenIds: number("tokenIds"),
        seed: number("answerSeed"),
        honourStops: values.honourStops === true,
        eosRate: number("eosRate"),
      },
      faults: {
        failRate: number("failRate"),
        hangRate: number("hangRate"),
        stallRate: number("stallRate"),
        stallSeconds: number("stallTime"),
        seed: number("answerSeed"),
      },
    };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`mock engine: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function launchOf(values: OptionValues): Promise<LaunchArgs> {
  const role = roleOf(values.disaggregationMode as string | undefined ?? "agg");
  const given = values.extraEngineArgs as string | undefined;
  const launch = parseLaunchArgs(given === undefined ? await fromFlags(values) : await fromJson(given));
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
  const startup = values.slowStart as number | undefined ?? launch.startup_time;
  const bootstrap_port = values.bootstrapPorts as number | undefined ?? launch.dynamo.bootstrap_port;
  const dynamo = { ...launch.dynamo, bootstrap_port };
  return { ...launch, startup_time: startup, engine: { ...launch.engine, worker_type: role }, dynamo };
}

async function fromJson(given: string): Promise<unknown> {
  const json = given.trimStart().startsWith("{") ? given : await readFile(given, "utf8");
  return JSON.parse(json);
}

/** What the flags say, in the form of engine arguments. */
async function fromFlags(values: OptionValues): Promise<unknown> {
  const backend = values.engineType;
  const profile = values.plannerProfileData as string | undefined;
  const host = hostOffloadOf(values);
  const engine = {
    backend,
    num_gpu_blocks: values.numGpuBlocksOverride,
    block_size: values.blockSize ?? (backend === "sglang" ? values.sglangPageSize : undefined),
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
    kv_transfer_bytes_per_token: values.kvBytesPerToken ??
      (values.kvTransferBandwidth === undefined ? undefined : await modelBytes(values, "--kv-transfer-bandwidth")),
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
  };
  return withoutUnset({
    engine: withoutUnset(engine),
    dp_size: values.dataParallelSize,
    startup_time: values.startupTime,
  });
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

const DTYPE_BYTES: Readonly<Record<string, number>> = { float16: 2, bfloat16: 2, float32: 4 };

/** KV bytes of a token, by the model's sizes. @source dynamo 1.6.1, `dynamo/mocker/utils/kv_cache.py` */
async function modelBytes(values: OptionValues, flag: string): Promise<number> {
  const folder = (values.modelPath ?? values.modelName) as string | undefined;
  try {
    const config = JSON.parse(await readFile(join(folder ?? "", "config.json"), "utf8"));
    const heads: number = config.num_attention_heads;
    const width = config.head_dim ?? Math.floor(config.hidden_size / heads);
    const bytes = config.num_hidden_layers * 2 * (config.num_key_value_heads ?? heads) * width;
    if (Number.isSafeInteger(bytes)) return bytes * (DTYPE_BYTES[config.torch_dtype ?? config.dtype] ?? 2);
  } catch {
    // Told below, like a file that says too little.
  }
  throw new UsageError(`${flag}: the model's config.json has no sizes; give --kv-bytes-per-token too`);
}

function withoutUnset(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
