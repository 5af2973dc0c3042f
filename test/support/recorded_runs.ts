/**
 * Runs of Dynamo's mocker behind its frontend, as a client saw them, see `golden/mocker/README.md`; and the same
 * requests for ours.
 *
 * @module
 */
import type { CompletionUsage } from "@stator/worker";
import { goldenText } from "./golden.ts";
import { type MockerRig, promptOf, type TimedChunk } from "./mocker_rig.ts";

/** One recorded request. Times are in milliseconds, `start_ms` since the workload began, the others since the start. */
export interface RecordedRequest {
  readonly prompt_tokens: number;
  readonly max_tokens: number;
  readonly start_ms: number;
  readonly ttft_ms: number;
  readonly total_ms: number;
  readonly token_ids: readonly number[];
  readonly finish_reason: string;
  readonly usage: CompletionUsage;
  readonly error: unknown;
}

/** One file. */
export interface RecordedFile {
  readonly args: string;
  readonly workloads: Readonly<Record<string, readonly RecordedRequest[]>>;
}

/** Reads a file. */
export function recordedFile(name: string): RecordedFile {
  return JSON.parse(goldenText(`mocker/live/${name}.json`));
}

/** What came of a request. */
export interface Answered {
  readonly tokens: number;
  readonly finishReason: string | undefined;
  readonly usage: CompletionUsage | undefined;
  /** Since the workload began. @unit milliseconds */
  readonly firstAt: number;
  /** Since the workload began. @unit milliseconds */
  readonly lastAt: number;
}

/** Answers a request at a time of its workload. */
export type Ask = (prompt: readonly number[], maxTokens: number, at: number) => Promise<Answered>;

/** Sends the requests of a workload at their times; prompts share the first 96 tokens, or nothing. */
export function runWorkload(name: string, requests: readonly RecordedRequest[], ask: Ask): Promise<Answered[]> {
  return Promise.all(requests.map(({ prompt_tokens, max_tokens, start_ms }, i) => {
    const shared = name.startsWith("shared_prefix") ? SHARED_TOKENS : 0;
    const prompt = [...promptOf(1, shared), ...promptOf(2 + i, prompt_tokens - shared)];
    return ask(prompt, max_tokens, start_ms);
  }));
}

const SHARED_TOKENS = 96;

/** Sends requests to one engine. */
export function askOf(rig: MockerRig): Ask {
  const begin = rig.now();
  return async (prompt, max_tokens, at) => {
    await rig.context().clock.sleepUntil(begin + at);
    return answered(await rig.ask(prompt, { stop_conditions: { max_tokens } }), begin);
  };
}

/** What a client would have seen. */
export function answered(chunks: readonly TimedChunk[], begin: number): Answered {
  const withTokens = chunks.filter(({ chunk }) => chunk.token_ids.length > 0);
  const end = chunks.at(-1)?.chunk;
  return {
    tokens: withTokens.reduce((sum, { chunk }) => sum + chunk.token_ids.length, 0),
    finishReason: end?.finish_reason as string | undefined,
    usage: end?.completion_usage,
    firstAt: withTokens[0]!.at - begin,
    lastAt: withTokens.at(-1)!.at - begin,
  };
}
