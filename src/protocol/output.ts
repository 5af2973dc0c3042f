/**
 * What an engine yields: chunks in wire spelling, and short ways to make them.
 *
 * @module
 */

/**
 * Why an answer ended. `abort` means `cancelled` and `eos` shows as `stop`; `error` and `error: <text>` end it as failed.
 *
 * @source dynamo-llm 1.6.1, `FinishReason`
 */
export type FinishReason =
  | "stop"
  | "length"
  | "eos"
  | "content_filter"
  | "cancelled"
  | "abort"
  | "error"
  | `error: ${string}`
  | { readonly error: string };

/** Token counts of one request. @unit tokens */
export interface CompletionUsage {
  /** Tokens of the prompt. */
  readonly prompt_tokens: number;
  /** Tokens produced. */
  readonly completion_tokens: number;
  /** Their sum. */
  readonly total_tokens: number;
  /** Details of the prompt, such as how much of it was cached. */
  readonly prompt_tokens_details?: { readonly cached_tokens?: number; readonly [detail: string]: number | undefined };
  /** Details of the output, such as how much of it was reasoning. */
  readonly completion_tokens_details?: { readonly [detail: string]: number | undefined };
}

/** One alternative for a token. */
export interface TopLogprob {
  /** 1 for the token that was taken. */
  readonly rank: number;
  /** Token id. */
  readonly token_id: number;
  /** Its text; `null` lets the frontend decode it. */
  readonly token: string | null;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
  /** Bytes of its text. */
  readonly bytes?: readonly number[];
}

/**
 * One piece of an answer. Exactly one chunk of a stream carries a `finish_reason`, and it is the last.
 *
 * @source dynamo-llm 1.6.1, `LLMEngineOutput`
 */
export interface GenerateChunk {
  /** New tokens; empty on a terminal chunk that brings none. */
  readonly token_ids: readonly number[];
  /** Choice the tokens belong to; 0, since Dynamo asks for one choice a request. */
  readonly index?: number;
  /** Set on the terminal chunk only. */
  readonly finish_reason?: FinishReason | null;
  /** Token counts; the frontend counts itself when absent. */
  readonly completion_usage?: CompletionUsage;
  /** Text the engine decoded itself; wins over the tokens. */
  readonly text?: string | null;
  /** Token texts. */
  readonly tokens?: readonly (string | null)[] | null;
  /** Log-probability of each token of this chunk. */
  readonly log_probs?: readonly number[] | null;
  /** Alternatives of each token of this chunk. */
  readonly top_logprobs?: readonly (readonly TopLogprob[])[] | null;
  /** Sum of the log-probabilities so far. */
  readonly cum_log_probs?: number | null;
  /** Stop string or token id that ended the answer. */
  readonly stop_reason?: string | number | readonly number[];
  /** What a prefill worker hands to decode. */
  readonly disaggregated_params?: unknown;
  /** What an encode worker hands on. */
  readonly encoder_result?: Readonly<Record<string, unknown>>;
  /** Engine data for clients that ask for it. */
  readonly engine_data?: Readonly<Record<string, unknown>>;
  /** Further members. */
  readonly [member: string]: unknown;
}

/** Short ways to make chunks. */
export interface ChunkBuilders {
  /** New tokens, not the end. */
  tokens(ids: readonly number[]): GenerateChunk;
  /** The end, because the model said so; `ids` are the last tokens. */
  stop(usage?: CompletionUsage, ids?: readonly number[]): GenerateChunk;
  /** The end, because `max_tokens` are out; `ids` are the last tokens. */
  length(usage?: CompletionUsage, ids?: readonly number[]): GenerateChunk;
  /** The end, because the request was cancelled. */
  cancelled(usage?: CompletionUsage): GenerateChunk;
  /** The end as a failure whose text stays with operators; throw a `DynamoError` to say which kind. */
  error(message: string): GenerateChunk;
}

/**
 * Short ways to make chunks.
 *
 * @example
 * ```ts
 * import { chunk, usage } from "@stator/worker";
 *
 * const answer = [chunk.tokens([72]), chunk.tokens([105]), chunk.stop(usage(3, 2))];
 * ```
 */
export const chunk: ChunkBuilders = {
  tokens: (ids) => ({ token_ids: ids, index: 0 }),
  stop: (usage, ids = []) => terminal("stop", ids, usage),
  length: (usage, ids = []) => terminal("length", ids, usage),
  cancelled: (usage) => terminal("cancelled", [], usage),
  error: (message) => terminal({ error: message }, []),
};

function terminal(finish_reason: FinishReason, token_ids: readonly number[], usage?: CompletionUsage): GenerateChunk {
  return { token_ids, index: 0, finish_reason, ...(usage === undefined ? {} : { completion_usage: usage }) };
}

/**
 * Token counts of a request, with the cached part of the prompt if it is known. A total that the wire has no room for is
 * the greatest it has.
 *
 * @unit tokens
 */
export function usage(promptTokens: number, completionTokens: number, cachedTokens?: number): CompletionUsage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: Math.min(promptTokens + completionTokens, U32_MAX),
    ...(cachedTokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
  };
}

const U32_MAX = 0xffff_ffff;
const PLAIN_FINISH_REASONS: readonly unknown[] = ["stop", "length", "eos", "content_filter", "cancelled"];

/**
 * A finish reason in the one spelling that goes on the wire; `null` if it is none.
 *
 * @source dynamo-llm 1.6.1: `abort` becomes `cancelled`, `error: x` and `error` become `{"error": x}`
 */
export function normalizeFinishReason(reason: unknown): FinishReason | null {
  if (PLAIN_FINISH_REASONS.includes(reason)) return reason as FinishReason;
  if (reason === "abort") return "cancelled";
  if (reason === "error") return { error: "error" };
  if (typeof reason === "string") {
    return reason.startsWith("error:") ? { error: reason.slice("error:".length).trim() } : null;
  }
  const text = (reason as { error?: unknown } | null)?.error;
  return typeof text === "string" ? { error: text } : null;
}
