/**
 * The forward passes that Dynamo's mocker published on the event plane, see `golden/mocker/live/forward_passes.json`.
 *
 * @module
 */
import type { ForwardPass, QueuedWork } from "../../src/engine/forward_pass.ts";
import { decodeZmqFrames } from "../../src/protocol/event.ts";
import { decodeForwardPass, type ForwardPassMetrics, type QueuedRequests } from "../../src/protocol/load_event.ts";
import { goldenText } from "./golden.ts";
import { unhex } from "./zmtp_peer.ts";

/** One message. */
export interface RecordedPass {
  readonly payload: Uint8Array;
  readonly metrics: ForwardPassMetrics;
  /** When it was published, since the Unix epoch. @unit milliseconds */
  readonly publishedAt: number;
}

/** One run of the mocker. */
export interface RecordedRun {
  readonly flags: readonly string[];
  /** Prompt tokens and `max_tokens`, one request after the other. */
  readonly requests: readonly (readonly [number, number])[];
  readonly messages: readonly RecordedPass[];
}

interface File {
  readonly requests: readonly (readonly [number, number])[];
  readonly runs: readonly { readonly flags: readonly string[]; readonly frames: readonly (readonly string[])[] }[];
}

/** All runs. */
export function recordedRuns(): RecordedRun[] {
  const { requests, runs }: File = JSON.parse(goldenText("mocker/live/forward_passes.json"));
  return runs.map(({ flags, frames }) => ({ flags, requests, messages: frames.map(messageOf) }));
}

/** The prompt of a recorded request. */
export function recordedPrompt(tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => 300 + (7 * i) % 3000);
}

/** Whether a message says that a rank is idle. */
export function isHeartbeat({ wall_time }: ForwardPassMetrics): boolean {
  return wall_time === 0;
}

/** A pass as an engine tells it. */
export function passOf({ wall_time, scheduled_requests, queued_requests }: ForwardPassMetrics): ForwardPass {
  return {
    wallTimeSeconds: wall_time,
    scheduled: { ...workOf(scheduled_requests), sumPrefillKvTokens: scheduled_requests.sum_prefill_kv_tokens },
    queued: workOf(queued_requests),
  };
}

function workOf(requests: QueuedRequests): QueuedWork {
  return {
    numPrefillRequests: requests.num_prefill_requests,
    sumPrefillTokens: requests.sum_prefill_tokens,
    varPrefillLength: requests.var_prefill_length,
    numDecodeRequests: requests.num_decode_requests,
    sumDecodeKvTokens: requests.sum_decode_kv_tokens,
    varDecodeKvTokens: requests.var_decode_kv_tokens,
  };
}

function messageOf(frames: readonly string[]): RecordedPass {
  const { envelope } = decodeZmqFrames(frames.map(unhex));
  const { payload, published_at } = envelope;
  return { payload, metrics: decodeForwardPass(payload), publishedAt: Number(published_at) };
}
