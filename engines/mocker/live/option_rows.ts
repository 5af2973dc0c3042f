/**
 * The flags of the live mock engine: those of Dynamo's mocker under the same names, then its own.
 *
 * @source dynamo 1.6.1, `dynamo/mocker/args.py`: names and defaults
 * @module
 */
import type { OptionRow } from "@stator/worker";

const group = "Mock engine";
type Extra = Partial<OptionRow>;
const row = (type: OptionRow["type"], flag: string, help: string, extra: Extra = {}): OptionRow => (
  { key: flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()), flag, type, group, help, ...extra }
);
const text = (flag: string, help: string, extra?: Extra) => row("string", flag, help, extra);
const whole = (flag: string, help: string, extra?: Extra) => row("integer", flag, help, { min: 0, ...extra });
const number = (flag: string, help: string, extra?: Extra) => row("number", flag, help, { min: 0, ...extra });
const share = (flag: string, help: string) => row("number", flag, help, { min: 0, max: 1, default: 0 });
const yes = (flag: string, help: string) => row("boolean", flag, help, { default: true });

/** The rows, in the order in which help shows them. */
export const MOCKER_OPTIONS: readonly OptionRow[] = [
  text(
    "extra-engine-args",
    "engine arguments: a JSON file, or JSON; replaces the flags from here to --kv-bytes-per-token",
  ),
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
  number("startup-time", "pause before the first pass; --slow-start is the same", { unit: "seconds" }),
  text("planner-profile-data", "NPZ file with a planner's profile, for the timing"),
  whole("ais-nextn", "drafted tokens a step, 1 to 5; unset: none"),
  text("ais-nextn-accept-rates", "chance of each draft, joined by commas"),
  whole("ais-mtp-seed", "seed of the drafts", { default: 42 }),
  text("sglang-schedule-policy", "order of the queue; fcfs is an old name of fifo", {
    choices: ["fifo", "fcfs", "lpm"],
    default: "fifo",
  }),
  whole("sglang-page-size", "old name of --block-size", { unit: "tokens" }),
  whole("sglang-max-prefill-tokens", "prompt tokens of a pass", { default: 16384, unit: "tokens" }),
  whole("sglang-chunked-prefill-size", "the same, parts of prompts included", { default: 8192, unit: "tokens" }),
  whole("sglang-clip-max-new-tokens", "most output that room is kept for", { default: 4096, unit: "tokens" }),
  number("sglang-schedule-conservativeness", "scales the share of output that room is kept for", { default: 1 }),
  number("kv-transfer-bandwidth", "from prefill to decode; unset or 0: no delay", { unit: "gigabytes per second" }),
  text("kv-transfer-timing-mode", "what travels", {
    choices: ["full_prompt", "destination_missing"],
    default: "full_prompt",
  }),
  whole("num-host-blocks", "blocks that a rank may keep in the memory of the host; unset: no host tier"),
  number("host-offload-d2h-bandwidth-gbps", "to the host; unset: 32; 0: no delay", { unit: "gigabytes per second" }),
  number("host-offload-h2d-bandwidth-gbps", "from the host; unset: 32; 0: no delay", { unit: "gigabytes per second" }),
  whole("kv-bytes-per-token", "KV of a token; unset: by the model's config.json", { unit: "bytes" }),
  whole("bootstrap-ports", "port that a prefill worker is met at, 0 for any; unset: no meeting", { max: 65535 }),
  text("bootstrap-host", "what decode workers dial; unset: the own address", { env: "DYN_HTTP_RPC_HOST" }),
  whole("default-max-tokens", "tokens of an answer when the request sets no limit; unset: that is refused", { min: 1 }),
  whole("first-token-id", "least id in answers", { default: 1000 }),
  whole("token-ids", "how many ids follow it", { default: 1000, min: 1 }),
  whole("answer-seed", "what tokens and faults follow from", { default: 0 }),
  row("boolean", "cache-answers", "the next turn finds the blocks of an answer too", { default: false }),
  row("boolean", "honour-stops", "end-of-sequence and stop tokens end an answer", { default: false }),
  share("eos-rate", "chance that a token is the end of the sequence, with --honour-stops"),
  share("fail-rate", "share of requests that fail on their way"),
  share("hang-rate", "share of requests that stop answering on their way"),
  number("slow-start", "pause before the first pass", { unit: "seconds" }),
  share("stall-rate", "share of passes that stall"),
  number("stall-time", "how long they stall", { default: 1, unit: "seconds" }),
];
