/**
 * OpenAI's answers: whole ones and the chunks of streams.
 *
 * @module
 */
import type { CompletionUsage } from "../protocol/output.ts";
import type { Piece, TokenLogprob } from "./answer.ts";

/** What all objects of one answer have in common. */
export interface AnswerHead {
  /** Which kind it is. */
  readonly kind: "chat" | "completion";
  /** Request id. */
  readonly id: string;
  /** Model name the client used. */
  readonly model: string;
  /** When it was asked for. @unit seconds since the Unix epoch */
  readonly created: number;
}

/** A whole choice. */
export interface Choice {
  /** Its pieces put together. */
  readonly piece: Piece;
  /** Its token counts. */
  readonly usage: CompletionUsage;
}

/** A whole answer. */
export function answerObject(head: AnswerHead, choices: readonly Choice[]): unknown {
  const isChat = head.kind === "chat";
  return {
    ...identity(head, isChat ? "chat.completion" : "text_completion"),
    choices: choices.map(({ piece }, index) => ({
      index,
      ...(isChat ? { message: { role: "assistant", content: piece.text, refusal: null } } : { text: piece.text }),
      finish_reason: piece.finishReason,
      logprobs: logprobs(head, piece.logprobs),
    })),
    usage: sum(choices.map((choice) => choice.usage)),
  };
}

/**
 * A chunk of a stream.
 *
 * @param isFirst Whether it is the first of its choice, which tells the role.
 * @param withUsage Whether the stream ends with token counts; all chunks before then say `null`.
 */
export function chunkObject(
  head: AnswerHead,
  piece: Piece,
  place: { readonly index: number; readonly isFirst: boolean; readonly withUsage: boolean },
): unknown {
  const role = place.isFirst ? { role: "assistant" } : {};
  return {
    ...identity(head, head.kind === "chat" ? "chat.completion.chunk" : "text_completion"),
    choices: [{
      index: place.index,
      ...(head.kind === "chat" ? { delta: { ...role, content: piece.text } } : { text: piece.text }),
      finish_reason: piece.finishReason,
      logprobs: logprobs(head, piece.logprobs),
    }],
    ...(place.withUsage ? { usage: null } : {}),
  };
}

/** The chunk that ends a stream with its token counts. */
export function usageObject(head: AnswerHead, usages: readonly CompletionUsage[]): unknown {
  const object = head.kind === "chat" ? "chat.completion.chunk" : "text_completion";
  return { ...identity(head, object), choices: [], usage: sum(usages) };
}

function identity({ kind, id, model, created }: AnswerHead, object: string): Record<string, unknown> {
  return { id: `${kind === "chat" ? "chatcmpl" : "cmpl"}-${id}`, object, created, model };
}

function sum(usages: readonly CompletionUsage[]): unknown {
  const [first] = usages;
  if (usages.length === 1) return first;
  const total = (name: "prompt_tokens" | "completion_tokens" | "total_tokens") =>
    usages.reduce((count, one) => count + Number(one[name]), 0);
  return {
    prompt_tokens: total("prompt_tokens"),
    completion_tokens: total("completion_tokens"),
    total_tokens: total("total_tokens"),
  };
}

function logprobs(head: AnswerHead, tokens: readonly TokenLogprob[]): unknown {
  if (tokens.length === 0) return null;
  if (head.kind === "chat") {
    const content = tokens.map(({ token, logprob, bytes, alternatives }) => ({
      token,
      logprob,
      bytes,
      top_logprobs: alternatives,
    }));
    return { content, refusal: null };
  }
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ alternatives }) =>
      Object.fromEntries(alternatives.map(({ token, logprob }) => [token, logprob]))
    ),
    text_offset: tokens.map((_, i) => tokens.slice(0, i).reduce((length, { token }) => length + token.length, 0)),
  };
}
