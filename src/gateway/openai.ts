/**
 * OpenAI's requests: what clients may ask for, checked.
 *
 * @module
 */
import type { TemplateMessage } from "../model/template.ts";
import type { SamplingOptions, StopConditions } from "../protocol/request.ts";
import { Fields } from "./fields.ts";
import { badRequest, notSupported } from "./openai_error.ts";

/** A prompt of a completion: text or token ids. */
export type Prompt = string | readonly number[];

/** What both kinds of request have. */
interface CommonRequest {
  /** The model asked for. */
  readonly model: string;
  /** Whether the answer is streamed. */
  readonly isStream: boolean;
  /** Whether a stream ends with the token counts. */
  readonly includesUsage: boolean;
  /** When to stop; `stop` counts unless `ignore_eos` is set. */
  readonly stop: Partial<StopConditions>;
  /** How to sample. */
  readonly sampling: Partial<SamplingOptions>;
  /** Alternatives wanted per token, `0` for the token's own log-probability only, `null` for none. */
  readonly logprobs: number | null;
  /** Annotations for the worker. */
  readonly annotations: readonly string[];
}

/** A checked chat request. */
export interface ChatRequest extends CommonRequest {
  /** Which kind it is. */
  readonly kind: "chat";
  /** The conversation. */
  readonly messages: readonly TemplateMessage[];
  /** Variables for the template. */
  readonly templateVariables: Readonly<Record<string, unknown>>;
}

/** A checked completion request. */
export interface CompletionRequest extends CommonRequest {
  /** Which kind it is. */
  readonly kind: "completion";
  /** The prompts; each is answered on its own. */
  readonly prompts: readonly Prompt[];
}

/** Any checked request. */
export type OpenAiRequest = ChatRequest | CompletionRequest;

/** Most alternatives per token. */
const MAX_LOGPROBS = 20;

/**
 * Checks the body of `POST /v1/chat/completions`.
 *
 * @throws {GatewayError} 400, naming the member at fault.
 */
export function parseChatRequest(body: unknown): ChatRequest {
  const fields = new Fields(body);
  for (const name of ["functions", "function_call", "audio", "modalities", "prediction"]) refuse(fields, name);
  if (fields.raw("tool_choice") !== "none" && (fields.array("tools") ?? []).length > 0) throw notSupported("tools");
  const wantsLogprobs = fields.boolean("logprobs") === true;
  const alternatives = fields.number("top_logprobs", { min: 0, max: MAX_LOGPROBS, isInteger: true });
  if (alternatives !== null && !wantsLogprobs) {
    throw badRequest("'top_logprobs' needs 'logprobs' to be true", "top_logprobs");
  }
  const effort = fields.string("reasoning_effort");
  return {
    kind: "chat",
    ...common(fields, fields.raw("max_completion_tokens") === null ? "max_tokens" : "max_completion_tokens"),
    logprobs: wantsLogprobs ? alternatives ?? 0 : null,
    messages: messages(fields),
    templateVariables: {
      ...(effort === null ? {} : { reasoning_effort: effort }),
      ...fields.raw("chat_template_kwargs") as Record<string, unknown> | null,
    },
  };
}

/**
 * Checks the body of `POST /v1/completions`.
 *
 * @throws {GatewayError} 400, naming the member at fault.
 */
export function parseCompletionRequest(body: unknown): CompletionRequest {
  const fields = new Fields(body);
  for (const name of ["echo", "suffix"]) refuse(fields, name);
  return {
    kind: "completion",
    ...common(fields, "max_tokens"),
    logprobs: fields.number("logprobs", { min: 0, max: MAX_LOGPROBS, isInteger: true }),
    prompts: prompts(fields.raw("prompt")),
  };
}

function common(fields: Fields, maxTokensName: string): Omit<CommonRequest, "logprobs"> {
  const model = fields.string("model");
  if (model === null || model === "") throw badRequest("'model' is missing", "model");
  const n = fields.count("n", 1);
  if (n !== null && n !== 1) throw badRequest("'n' must be 1: one request brings one choice", "n");
  refuse(fields, "logit_bias");
  const nvext = fields.object("nvext");
  return {
    model,
    isStream: fields.boolean("stream") ?? false,
    includesUsage: fields.object("stream_options").boolean("include_usage") ?? false,
    annotations: nvext.strings("annotations") ?? [],
    stop: {
      max_tokens: fields.count(maxTokensName, 1),
      min_tokens: fields.count("min_tokens", 0),
      stop: fields.strings("stop"),
      ignore_eos: fields.boolean("ignore_eos"),
      max_thinking_tokens: nvext.count("max_thinking_tokens", 0),
    },
    sampling: {
      n,
      best_of: fields.count("best_of", 1),
      presence_penalty: fields.number("presence_penalty", { min: -2, max: 2 }),
      frequency_penalty: fields.number("frequency_penalty", { min: -2, max: 2 }),
      repetition_penalty: fields.number("repetition_penalty", { min: 0 }),
      temperature: fields.number("temperature", { min: 0, max: 2 }),
      top_p: fields.number("top_p", { min: 0, max: 1 }),
      top_k: fields.number("top_k", { min: -1, isInteger: true }),
      min_p: fields.number("min_p", { min: 0, max: 1 }),
      seed: fields.bigint("seed"),
      guided_decoding: guidedDecoding(fields),
    },
  };
}

/** Refuses what the gateway cannot do, but not its neutral values, which some clients always send. */
function refuse(fields: Fields, name: string): void {
  const value = fields.raw(name);
  const isNeutral = value === null || value === false || value === "" ||
    (typeof value === "object" && Object.keys(value).length === 0);
  if (!isNeutral && !(name === "modalities" && JSON.stringify(value) === '["text"]')) throw notSupported(name);
}

/** @source dynamo-llm 1.6.1: `response_format` and `guided_*` become one constraint */
function guidedDecoding(fields: Fields): Readonly<Record<string, unknown>> | null {
  const format = fields.object("response_format");
  const type = format.string("type");
  if (type === "json_object") return { json: { type: "object" } };
  if (type === "json_schema") {
    const schema = format.object("json_schema").raw("schema");
    if (schema === null) throw badRequest("'response_format.json_schema.schema' is missing", "response_format");
    return { json: schema };
  }
  if (type !== null && type !== "text") {
    throw badRequest(`response format '${type}' is unknown`, "response_format.type");
  }
  const constraints = ["json", "regex", "choice", "grammar"]
    .map((name) => [name, fields.raw(`guided_${name}`)] as const)
    .filter(([, value]) => value !== null);
  if (constraints.length > 1) {
    throw badRequest("at most one guided_* constraint is allowed", `guided_${constraints[1]![0]}`);
  }
  return constraints.length === 0 ? null : Object.fromEntries(constraints);
}

function messages(fields: Fields): TemplateMessage[] {
  const list = fields.array("messages");
  if (list === null || list.length === 0) {
    throw badRequest("'messages' must be a list of at least one message", "messages");
  }
  return list.map((item, i) => {
    const message = new Fields(item, `messages[${i}]`);
    const role = message.string("role");
    if (role === null || role === "") throw badRequest(`'${message.path("role")}' is missing`, message.path("role"));
    return { ...item as Record<string, unknown>, role, content: messageText(message) };
  });
}

/** Text of a message; parts are joined. */
function messageText(message: Fields): string | null {
  const content = message.raw("content");
  if (content === null || typeof content === "string") {
    // Only an assistant may say nothing, when it called a tool.
    if (content === null && message.raw("role") !== "assistant") {
      throw badRequest(`'${message.path("content")}' is missing`, message.path("content"));
    }
    return content ?? "";
  }
  const parts = message.array("content") ?? [];
  return parts.map((item, i) => {
    const part = new Fields(item, `${message.path("content")}[${i}]`);
    const type = part.string("type");
    if (type !== "text") throw notSupported(`${part.path("type")}: ${type}`);
    return part.string("text") ?? "";
  }).join("");
}

/** One prompt or several, each text or token ids. */
function prompts(value: unknown): Prompt[] {
  const wrong = badRequest(
    "'prompt' must be a string, a list of strings, a list of token ids or a list of those",
    "prompt",
  );
  const isIds = (item: unknown): item is number[] =>
    Array.isArray(item) && item.every((id) => Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff);
  if (value === null) throw badRequest("'prompt' is missing", "prompt");
  if (typeof value === "string") return [value];
  if (!Array.isArray(value) || value.length === 0) throw wrong;
  if (typeof value[0] === "number") {
    if (!isIds(value)) throw wrong;
    return [value];
  }
  if (!value.every((item) => typeof item === "string") && !value.every(isIds)) throw wrong;
  return value;
}
