/**
 * The stream contract: what an engine may yield, checked chunk by chunk.
 *
 * @module
 */
import { DynamoError, type ErrorKind } from "../protocol/error.ts";
import { type CompletionUsage, type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import type { GenerateRequest } from "../protocol/request.ts";

/** What happens to a violation: nothing is looked at, each kind is reported once a stream, or the stream fails. */
export type ValidationMode = "off" | "warn" | "throw";

/** The ways to break the stream contract. */
export type ViolationKind =
  | "TokenIdsMissing"
  | "TokenIdNotU32"
  | "IndexNotZero"
  | "LogProbsMismatch"
  | "TopLogprobsMismatch"
  | "UnknownFinishReason"
  | "MaxTokensExceeded"
  | "PromptTokensMismatch"
  | "CompletionTokensMismatch"
  | "UsageSumMismatch"
  | "EncoderResultExpectedObject"
  | "ChunkAfterTerminal"
  | "NoTerminalChunk";

/** One breach of the contract. */
export interface Violation {
  /** Which rule. */
  readonly kind: ViolationKind;
  /** What was seen, for operators. */
  readonly message: string;
}

/** Watches one stream. */
export interface StreamValidator {
  /** Looks at the next chunk. @throws {DynamoError} In mode `throw`, if it breaks the contract. */
  push(chunk: GenerateChunk): void;
  /** The stream ended by itself, not by a cancel. @throws {DynamoError} In mode `throw`, if it had no terminal chunk. */
  end(): void;
}

/** Settings of {@linkcode createValidator}. */
export interface ValidatorOptions {
  /** Told of each kind once, in mode `warn`. */
  readonly report?: (violation: Violation) => void;
  /** The worker's part in serving; `encode` workers owe an `encoder_result`. */
  readonly role?: string;
}

/** A rule's sentence about what was seen and what was expected, and how a client learns of it in mode `throw`. */
interface Rule {
  readonly say: (seen: unknown, expected: number) => string;
  readonly error: ErrorKind;
}

// Errors of the encoder and of the reference worker are `InvalidArgument` for chunks that cannot be written at all.
const RULES: Readonly<Record<ViolationKind, Rule>> = {
  TokenIdsMissing: { say: () => "a chunk has no token_ids array", error: "InvalidArgument" },
  TokenIdNotU32: { say: (id) => `${String(id)} is no unsigned 32-bit token id`, error: "InvalidArgument" },
  IndexNotZero: { say: (index) => `index is ${String(index)}; it has to be 0 or absent`, error: "Unknown" },
  LogProbsMismatch: { say: (n, ids) => `log_probs has ${n} entries for ${ids} token_ids`, error: "Unknown" },
  TopLogprobsMismatch: { say: (n, ids) => `top_logprobs has ${n} entries for ${ids} token_ids`, error: "Unknown" },
  UnknownFinishReason: {
    say: (reason) => `finish_reason ${quote(reason)} is none of Dynamo's`,
    error: "InvalidArgument",
  },
  MaxTokensExceeded: { say: (n, most) => `${n} tokens were produced for a max_tokens of ${most}`, error: "Unknown" },
  PromptTokensMismatch: {
    say: (n, length) => `prompt_tokens is ${n} for a prompt of ${length} tokens`,
    error: "Unknown",
  },
  CompletionTokensMismatch: {
    say: (n, emitted) => `completion_tokens is ${n} after ${emitted} tokens were produced`,
    error: "Unknown",
  },
  UsageSumMismatch: {
    say: (total, sum) => `total_tokens is ${total}, but prompt_tokens and completion_tokens add up to ${sum}`,
    error: "Unknown",
  },
  EncoderResultExpectedObject: {
    say: () => "an encode worker's last chunk has no encoder_result object",
    error: "Unknown",
  },
  ChunkAfterTerminal: { say: () => "a chunk follows the one with the finish_reason", error: "Unknown" },
  NoTerminalChunk: { say: () => "the stream ended without a finish_reason", error: "StreamIncomplete" },
};

const OFF: StreamValidator = { push() {}, end() {} };

/**
 * Makes the validator of one stream.
 *
 * An empty chunk that is not the last is fine, and so is every spelling of a finish reason that Dynamo reads. The length
 * of the prompt is not compared with `prompt_tokens` when media are part of it, since these expand to unknown numbers.
 *
 * @source dynamo-backend-common 1.6.1, `validate.rs` (nothing after the terminal, encoder result), `testing.rs` (tokens
 * add up); the rest is what 1.6.1 frontends were seen to refuse
 */
export function createValidator(
  request: GenerateRequest,
  mode: ValidationMode,
  options: ValidatorOptions = {},
): StreamValidator {
  return mode === "off" ? OFF : new ContractValidator(request, mode, options);
}

class ContractValidator implements StreamValidator {
  readonly #maxTokens: number;
  readonly #promptTokens: number | null;
  readonly #isEncode: boolean;
  readonly #throws: boolean;
  readonly #report: ((violation: Violation) => void) | undefined;
  #reported: ViolationKind[] | null = null;
  #tokens = 0;
  #hasTerminal = false;

  constructor(request: GenerateRequest, mode: ValidationMode, { report, role }: ValidatorOptions) {
    this.#maxTokens = request.stop_conditions.max_tokens ?? Infinity;
    const hasMedia = (request.multi_modal_data ?? request.prompt_embeds ?? null) !== null;
    this.#promptTokens = hasMedia ? null : request.token_ids.length;
    this.#isEncode = role === "encode";
    this.#throws = mode === "throw";
    this.#report = report;
  }

  push(chunk: GenerateChunk): void {
    if (this.#hasTerminal) this.#found("ChunkAfterTerminal");
    const count = this.#countTokens(chunk.token_ids);
    this.#tokens += count;
    if (this.#tokens > this.#maxTokens) this.#found("MaxTokensExceeded", this.#tokens, this.#maxTokens);
    const { index, log_probs, top_logprobs, completion_usage, finish_reason } = chunk;
    if (index !== 0 && index !== undefined && index !== null) this.#found("IndexNotZero", index);
    if (log_probs !== undefined && log_probs !== null && log_probs.length !== count) {
      this.#found("LogProbsMismatch", log_probs.length, count);
    }
    if (top_logprobs !== undefined && top_logprobs !== null && top_logprobs.length !== count) {
      this.#found("TopLogprobsMismatch", top_logprobs.length, count);
    }
    const isTerminal = finish_reason !== undefined && finish_reason !== null;
    if (isTerminal) this.#checkTerminal(chunk);
    if (completion_usage !== undefined && completion_usage !== null) this.#checkUsage(completion_usage, isTerminal);
  }

  end(): void {
    if (!this.#hasTerminal) this.#found("NoTerminalChunk");
  }

  #countTokens(ids: unknown): number {
    if (!Array.isArray(ids) && !(ids instanceof Uint32Array)) {
      this.#found("TokenIdsMissing");
      return 0;
    }
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] >>> 0 !== ids[i]) this.#found("TokenIdNotU32", ids[i]);
    }
    return ids.length;
  }

  #checkTerminal({ finish_reason, encoder_result }: GenerateChunk): void {
    this.#hasTerminal = true;
    const reason = normalizeFinishReason(finish_reason);
    if (reason === null) return this.#found("UnknownFinishReason", finish_reason);
    // A cancel or a failure can come before there is anything to hand on.
    const owesResult = this.#isEncode && reason !== "cancelled" && typeof reason === "string";
    if (owesResult && !isObject(encoder_result)) this.#found("EncoderResultExpectedObject");
  }

  #checkUsage({ prompt_tokens, completion_tokens, total_tokens }: CompletionUsage, isTerminal: boolean): void {
    const sum = prompt_tokens + completion_tokens;
    if (total_tokens !== sum) this.#found("UsageSumMismatch", total_tokens, sum);
    if (this.#promptTokens !== null && prompt_tokens !== this.#promptTokens) {
      this.#found("PromptTokensMismatch", prompt_tokens, this.#promptTokens);
    }
    // Before the end it may be a running count that lags behind.
    if (isTerminal && completion_tokens !== this.#tokens) {
      this.#found("CompletionTokensMismatch", completion_tokens, this.#tokens);
    }
  }

  #found(kind: ViolationKind, seen?: unknown, expected = 0): void {
    this.#reported ??= [];
    if (this.#reported.includes(kind)) return;
    this.#reported.push(kind);
    const { say, error } = RULES[kind];
    const message = say(seen, expected);
    if (this.#throws) {
      throw new DynamoError(error, `Engine breaks the stream contract: ${message} (${kind})`, { publicMessage: null });
    }
    this.#report?.({ kind, message });
  }
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : `of type ${typeof value}`;
}
