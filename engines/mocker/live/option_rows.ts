/**
 * The flags of the live mock engine: those of Dynamo's mocker under the same names, then its own.
 *
 * @source dynamo 1.6.1, `dynamo/mocker/args.py`: names and defaults
 * @module
 */
import type { OptionRow, OptionValues } from "@stator/worker";

const group = "Mock engine";
type Extra = Partial<OptionRow>;
const row = (type: OptionRow["type"], flag: string, help: string, extra: Extra = {}): OptionRow => (
  { key: flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()), flag, type, group, help, ...extra }
);
const text = (flag: string, help: string, extra?: Extra) => row("string", flag, help, extra);
const whole = (flag: string, help: string, extra?: Extra) => row("integer", flag, help, { min: 0, ...extra });
const number = (flag: string, help: string, extra?: Extra) => row("number", flag, help, { min: 0, ...extra });
const part = (flag: string, help: string, extra?: Extra) => row("number", flag, help, { min: 0, max: 1, ...extra });
const share = (flag: string, help: string) => part(flag, help, { default: 0 });
const yes = (flag: string, help: string) => row("boolean", flag, help, { default: true });
const no = (flag: string, help: string, extra?: Extra) => row("boolean", flag, help, { default: false, ...extra });
/** A flag whose older spelling says `aic` for `ais`. */
const ais = (type: OptionRow["type"], name: string, help: string, extra?: Extra) =>
  row(type, `ais-${name}`, help, { aliases: [`aic-${name}`], ...extra });

/** Flags that say what is simulated. `--extra-engine-args` takes the place of all of them. */
const ENGINE_OPTIONS: readonly OptionRow[] = [
  text("engine-type", "whose scheduling", { choices: ["vllm", "sglang", "trtllm"], default: "vllm" }),
  whole("num-gpu-blocks-override", "KV blocks of a rank", { default: 16384 }),
  whole("block-size", "tokens of a block; 64, 1 or 32 by engine type when unset", { unit: "tokens" }),
  whole("max-model-len", "longest prompt with its answer", { unit: "tokens" }),
  whole("max-num-seqs", "requests that run at once", { default: 256 }),
  whole("max-num-batched-tokens", "tokens of a pass", { default: 8192, unit: "tokens" }),
  yes("enable-prefix-caching", "find blocks of earlier prompts again"),
  yes("enable-chunked-prefill", "a pass may compute a part of a prompt"),
  text("preemption-mode", "who loses its blocks: newest or oldest", { choices: ["lifo", "fifo"], default: "lifo" }),
  number("speedup-ratio", "divides all durations; 0 counts as 1", { default: 1 }),
  number("decode-speedup-ratio", "divides those of decoding besides", { default: 1 }),
  whole("data-parallel-size", "ranks", { default: 1, min: 1 }),
  number("startup-time", "the engine is busy that long after it is registered; requests wait", { unit: "seconds" }),
  text("planner-profile-data", "NPZ file with a planner's profile, for the timing"),
  ais("integer", "nextn", "drafted tokens a step, 1 to 5; unset: none", { min: 0 }),
  ais("string", "nextn-accept-rates", "chance of each draft, joined by commas"),
  ais("integer", "mtp-seed", "seed of the drafts, of the first worker; the next ones count up", {
    min: 0,
    default: 42,
  }),
  text("sglang-schedule-policy", "order of the queue; fcfs is an old name of fifo", {
    choices: ["fifo", "fcfs", "lpm"],
    default: "fifo",
  }),
  whole("sglang-page-size", "old name of --block-size", { unit: "tokens", deprecated: "--block-size" }),
  whole("sglang-max-prefill-tokens", "prompt tokens of a pass", { default: 16384, unit: "tokens" }),
  whole("sglang-chunked-prefill-size", "the same, parts of prompts included", { default: 8192, unit: "tokens" }),
  whole("sglang-clip-max-new-tokens", "most output that room is kept for", { default: 4096, unit: "tokens" }),
  number("sglang-schedule-conservativeness", "scales the share of output that room is kept for", { default: 1 }),
  text("trtllm-capacity-scheduler-policy", "who is admitted", {
    choices: ["guaranteed_no_evict"],
    default: "guaranteed_no_evict",
  }),
  text(
    "reasoning",
    "reasoning part of answers: JSON with start_thinking_token_id, end_thinking_token_id, thinking_ratio",
  ),
  text("response-replay-trace-path", "planned answers: JSON lines with output_token_ids and output_length"),
  number("kv-transfer-bandwidth", "from prefill to decode; unset or 0: no delay", { unit: "gigabytes per second" }),
  text("kv-transfer-timing-mode", "what travels", {
    choices: ["full_prompt", "destination_missing"],
    default: "full_prompt",
  }),
  text("kv-cache-dtype", "type of KV values, for the size of a token", {
    choices: ["auto", "bfloat16", "fp8", "fp8_ds_mla", "fp8_e4m3", "fp8_e5m2", "fp8_inc"],
    default: "auto",
  }),
  whole("num-host-blocks", "blocks that a rank may keep in the memory of the host; unset: no host tier"),
  number("host-offload-d2h-bandwidth-gbps", "to the host; unset: 32; 0: no delay", { unit: "gigabytes per second" }),
  number("host-offload-h2d-bandwidth-gbps", "from the host; unset: 32; 0: no delay", { unit: "gigabytes per second" }),
  whole("kv-bytes-per-token", "KV of a token; unset: by the model's config.json", { unit: "bytes" }),
];

/** Flags of the peer that only its external latency model reads. */
const CAPACITY_OPTIONS: readonly OptionRow[] = [
  "gpu-memory-utilization",
  "mem-fraction-static",
  "free-gpu-memory-fraction",
].map((flag) => part(flag, "checked, and without effect: the number of blocks is not estimated"));

/** Flags of the peer that ask for what is not here; {@linkcode refusalOf} says what to do instead. */
const REFUSED_OPTIONS: readonly OptionRow[] = [
  no("sglang-generate", "refused: there is no native /generate"),
  ais("boolean", "perf-model", "refused: there is no external latency model", { default: false }),
  ais("string", "system", "refused, like the next ones: they describe that model"),
  ais("string", "backend", "refused"),
  ais("string", "backend-version", "refused"),
  ais("integer", "tp-size", "refused"),
  ais("integer", "moe-tp-size", "refused"),
  ais("integer", "moe-ep-size", "refused"),
  ais("integer", "attention-dp-size", "refused"),
  text("ais-perf-config", "refused"),
];

/** Flags that Dynamo's mocker does not have. */
const OWN_OPTIONS: readonly OptionRow[] = [
  text("bootstrap-host", "what decode workers dial; unset: the own address", { env: "DYN_HTTP_RPC_HOST" }),
  whole("default-max-tokens", "tokens of an answer when the request sets no limit; unset: that is refused", { min: 1 }),
  whole("first-token-id", "least id in answers", { default: 1000 }),
  whole("token-ids", "how many ids follow it", { default: 1000, min: 1 }),
  whole("answer-seed", "what tokens and faults follow from", { default: 0 }),
  no("cache-answers", "the next turn finds the blocks of an answer too"),
  no("honour-stops", "end-of-sequence and stop tokens end an answer"),
  share("eos-rate", "chance that a token is the end of the sequence, with --honour-stops"),
  share("fail-rate", "share of requests that fail on their way"),
  share("hang-rate", "share of requests that stop answering on their way"),
  number("slow-start", "the engine takes that long to start; only then it is registered", { unit: "seconds" }),
  share("stall-rate", "share of passes that stall"),
  number("stall-time", "how long they stall", { default: 1, unit: "seconds" }),
];

/** The rows, in the order in which help shows them. */
export const MOCKER_OPTIONS: readonly OptionRow[] = [
  text(
    "extra-engine-args",
    "engine arguments: a JSON file, or JSON; replaces the flags from here to --kv-bytes-per-token",
  ),
  ...ENGINE_OPTIONS,
  ...CAPACITY_OPTIONS,
  text(
    "bootstrap-ports",
    "a port for each worker, with commas, that it is met at to prefill; 0: any; unset: no meeting",
  ),
  text("zmq-kv-events-ports", "KV events as vLLM's: a port for each worker, with commas; rank r has the port + r"),
  text("zmq-replay-ports", "where those that got lost can be asked for, likewise"),
  no("is-prefill-worker", "the worker prefills", { deprecated: "--disaggregation-mode prefill" }),
  no("is-decode-worker", "the worker decodes", { deprecated: "--disaggregation-mode decode" }),
  ...OWN_OPTIONS,
  ...REFUSED_OPTIONS,
];

/**
 * Why values cannot be had, and what to do instead; `undefined` if they can.
 *
 * @param values As the rows have them.
 */
export function refusalOf(values: OptionValues): string | undefined {
  if (values.sglangGenerate === true) {
    return "--sglang-generate: there is no native /generate here; leave it out, and call /v1/completions instead";
  }
  const asked = REFUSED_OPTIONS.find(({ key }) => values[key] !== undefined && values[key] !== false);
  return asked === undefined ? undefined : `--${asked.flag}: there is no external latency model here; ` +
    "leave out the --ais flags but those of drafting, and give the times with --planner-profile-data or timing_model";
}
