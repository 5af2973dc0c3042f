/**
 * A worker's chunks to text: detokenizing, ends of answers, stop strings, token counts. Pure.
 *
 * @module
 */
import { ClientError } from "../client/client.ts";
import { Detokenizer } from "../model/detokenizer.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { type CompletionUsage, type FinishReason, type GenerateChunk, usage } from "../protocol/output.ts";
import { encodeText } from "../protocol/payload.ts";
import type { PreprocessedRequest } from "./preprocess.ts";
import { StopStrings } from "./stop_strings.ts";

/** Why an answer ended, in OpenAI's words. */
export type OpenAiFinishReason = "stop" | "length" | "content_filter";

/** A token with its log-probability. */
export interface TokenLogprob {
  /** Its text. */
  readonly token: string;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
  /** Bytes of its text. */
  readonly bytes: readonly number[];
  /** The most likely tokens in its place. */
  readonly alternatives: readonly Omit<TokenLogprob, "alternatives">[];
}

/** What one chunk adds to the answer. */
export interface Piece {
  /** New text; may be empty while text is held back. */
  readonly text: string;
  /** Log-probabilities of the chunk's tokens, when the engine sent some. */
  readonly logprobs: readonly TokenLogprob[];
  /** Set on the last piece, if the answer came to an end. */
  readonly finishReason: OpenAiFinishReason | null;
}

/** @source dynamo-llm 1.6.1: `eos`, `cancelled` and `abort` show as `stop` */
const FINISH_REASONS: Readonly<Record<string, OpenAiFinishReason>> = {
  stop: "stop",
  eos: "stop",
  cancelled: "stop",
  abort: "stop",
  length: "length",
  content_filter: "content_filter",
};

/** Puts one answer together. */
export class Answer {
  readonly #tokenizer: Tokenizer;
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopStrings;
  readonly #endIds: ReadonlySet<number>;
  readonly #promptTokens: number;
  #tokens = 0;
  #usage: CompletionUsage | null = null;
  #isDone = false;

  /** Starts the answer to a request. */
  constructor(request: PreprocessedRequest, tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#detokenizer = new Detokenizer(tokenizer);
    this.#stops = new StopStrings(request.stop_conditions.stop ?? []);
    this.#endIds = new Set(request.stop_conditions.stop_token_ids_hidden);
    this.#promptTokens = request.token_ids.length;
  }

  /** Whether nothing more belongs to the answer. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Token counts: the engine's own, or what came so far. */
  get usage(): CompletionUsage {
    return this.#usage ?? usage(this.#promptTokens, this.#tokens);
  }

  /**
   * Adds a chunk.
   *
   * @throws {ClientError} If it says that the engine failed, or is none.
   */
  take(chunk: GenerateChunk): Piece {
    checkChunk(chunk);
    const end = chunk.token_ids.findIndex((id) => this.#endIds.has(id));
    const shown = end < 0 ? chunk.token_ids : chunk.token_ids.slice(0, end);
    this.#tokens += end < 0 ? shown.length : shown.length + 1;
    if (chunk.completion_usage !== undefined && chunk.completion_usage !== null) this.#usage = chunk.completion_usage;
    const decoded = shown.map((id) => this.#detokenizer.push(id)).join("");
    const logprobs = this.#logprobs(chunk, shown.length);
    const { text, isStopped } = this.#stops.push(chunk.text ?? decoded);
    if (isStopped) return this.#finish(text, logprobs, "stop");
    const reason = end < 0 ? finishReason(chunk.finish_reason) : "stop";
    if (reason === null) return { text, logprobs, finishReason: null };
    const rest = this.#rest();
    return this.#finish(text + rest.text, logprobs, rest.isStopped ? "stop" : reason);
  }

  /** The last piece of a stream that ended without a finish reason. */
  end(): Piece {
    this.#isDone = true;
    return { text: this.#rest().text, logprobs: [], finishReason: null };
  }

  #finish(text: string, logprobs: readonly TokenLogprob[], finishReason: OpenAiFinishReason): Piece {
    this.#isDone = true;
    return { text, logprobs, finishReason };
  }

  /** Text that was held back for the rest of a character or of a stop string. */
  #rest(): { readonly text: string; readonly isStopped: boolean } {
    const { text, isStopped } = this.#stops.push(this.#detokenizer.flush());
    return { text: isStopped ? text : text + this.#stops.flush(), isStopped };
  }

  #logprobs(chunk: GenerateChunk, count: number): TokenLogprob[] {
    const values = chunk.log_probs ?? [];
    return chunk.token_ids.slice(0, Math.min(count, values.length)).map((id, i) => ({
      ...this.#token(id, chunk.tokens?.[i] ?? null),
      logprob: values[i] ?? 0,
      alternatives: (chunk.top_logprobs?.[i] ?? []).map((top) => ({
        ...this.#token(top.token_id, top.token, top.bytes),
        logprob: top.logprob,
      })),
    }));
  }

  #token(id: number, text: string | null, bytes?: readonly number[]): Pick<TokenLogprob, "token" | "bytes"> {
    const token = text ?? this.#tokenizer.decode([id], { skipSpecialTokens: false });
    return { token, bytes: bytes ?? [...encodeText(token)] };
  }
}

/** @source dynamo-llm 1.6.1, seen: no `token_ids` is an invalid request, another choice an internal error */
function checkChunk(chunk: GenerateChunk): void {
  if (!Array.isArray(chunk.token_ids)) throw failure("InvalidRequest", "chunk without token_ids");
  if ((chunk.index ?? 0) !== 0) throw failure("Internal", `chunk of choice ${chunk.index}`);
}

function finishReason(reason: FinishReason | null | undefined): OpenAiFinishReason | null {
  if (reason === null || reason === undefined) return null;
  if (typeof reason === "object") throw failure("Internal", reason.error);
  if (reason.startsWith("error")) throw failure("Internal", reason);
  const known = FINISH_REASONS[reason];
  if (known === undefined) throw failure("InvalidRequest", `unknown finish reason ${reason}`);
  return known;
}

function failure(errorClass: string, message: string): ClientError {
  return new ClientError({ class: errorClass, reason: "", message, publicMessage: null });
}
