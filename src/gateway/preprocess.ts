/**
 * OpenAI's request to the request that workers get.
 *
 * @module
 */
import type { TextModel } from "../model/text_model.ts";
import { effectiveContextLength, type ModelCard } from "../protocol/model_card.ts";
import { modelSum } from "../protocol/model_sum.ts";
import type { OutputOptions, SamplingOptions, StopConditions } from "../protocol/request.ts";
import type { OpenAiRequest, Prompt } from "./openai.ts";
import { badRequest } from "./openai_error.ts";

/** The body of a request to a worker, every member that Dynamo's frontend always sends. */
export interface PreprocessedRequest {
  /** Model name the client used. */
  readonly model: string;
  /** The prompt. */
  readonly token_ids: readonly number[];
  /** When to stop. */
  readonly stop_conditions: StopConditions;
  /** How to sample. */
  readonly sampling_options: SamplingOptions;
  /** What to report. */
  readonly output_options: OutputOptions;
  /** Ids that end the answer. */
  readonly eos_token_ids: readonly number[];
  /** Checksum of the card used. */
  readonly mdc_sum: string;
  /** Annotations asked for. */
  readonly annotations: readonly string[];
  /** No router stands between this gateway and the worker. */
  readonly routing: Readonly<Record<string, never>>;
  /** As above. */
  readonly router_config_override: null;
}

/** A model as the gateway serves it. */
export interface ServedModel {
  /** Its card. */
  readonly card: ModelCard;
  /** Its text side. */
  readonly text: TextModel;
}

/**
 * Token ids of every prompt of a request; a chat has one.
 *
 * @throws {GatewayError} 400 if the model cannot chat, the template refuses the messages, or a prompt is empty or longer
 * than the model's context.
 */
export function encodePrompts(request: OpenAiRequest, model: ServedModel): (readonly number[])[] {
  const { tokenizer, template } = model.text;
  const param = request.kind === "chat" ? "messages" : "prompt";
  if (request.kind === "completion") {
    return request.prompts.map((prompt: Prompt) =>
      checkLength(typeof prompt === "string" ? tokenizer.encode(prompt) : prompt, model.card, param)
    );
  }
  if (template === null) throw badRequest(`The model '${request.model}' has no chat template`, "model");
  let prompt: string;
  try {
    prompt = template.render(request.messages, request.templateVariables);
  } catch (error) {
    throw badRequest(
      `The chat template refuses the messages: ${error instanceof Error ? error.message : error}`,
      param,
    );
  }
  return [checkLength(tokenizer.encode(prompt), model.card, param)];
}

function checkLength(ids: readonly number[], card: ModelCard, param: string): readonly number[] {
  if (ids.length === 0) throw badRequest(`'${param}' must not be empty`, param);
  const limit = effectiveContextLength(card);
  if (limit > 0 && ids.length > limit) {
    const message = `This model's maximum context length is ${limit} tokens, but the prompt has ${ids.length} tokens`;
    throw badRequest(message, param, "context_length_exceeded");
  }
  return ids;
}

/**
 * The body for a worker.
 *
 * @source dynamo-llm 1.6.1, preprocessor: with `ignore_eos` no stop condition but `max_tokens` is left; without
 * `max_tokens` the engine's own default applies
 */
export function preprocess(
  request: OpenAiRequest,
  tokenIds: readonly number[],
  model: ServedModel,
): PreprocessedRequest {
  const { stop, sampling } = request;
  const ignoresEos = stop.ignore_eos === true;
  const eos = ignoresEos ? [] : model.text.eosTokenIds;
  return {
    model: request.model,
    token_ids: tokenIds,
    stop_conditions: {
      max_tokens: stop.max_tokens ?? null,
      stop: ignoresEos ? null : stop.stop ?? null,
      stop_token_ids: null,
      stop_token_ids_visible: null,
      stop_token_ids_hidden: eos.length === 0 ? null : eos,
      min_tokens: stop.min_tokens ?? null,
      ignore_eos: stop.ignore_eos ?? null,
      max_thinking_tokens: stop.max_thinking_tokens ?? null,
    },
    sampling_options: {
      n: sampling.n ?? null,
      best_of: sampling.best_of ?? null,
      presence_penalty: sampling.presence_penalty ?? null,
      frequency_penalty: sampling.frequency_penalty ?? null,
      repetition_penalty: sampling.repetition_penalty ?? null,
      temperature: sampling.temperature ?? null,
      top_p: sampling.top_p ?? null,
      top_k: sampling.top_k ?? null,
      min_p: sampling.min_p ?? null,
      use_beam_search: null,
      length_penalty: null,
      seed: sampling.seed ?? null,
      include_stop_str_in_output: null,
      guided_decoding: sampling.guided_decoding ?? null,
    },
    output_options: {
      logprobs: request.logprobs,
      prompt_logprobs: null,
      skip_special_tokens: null,
      formatted_prompt: null,
      return_tokens_as_token_ids: null,
    },
    eos_token_ids: eos,
    mdc_sum: modelSum(model.card),
    annotations: request.annotations,
    routing: {},
    router_config_override: null,
  };
}
