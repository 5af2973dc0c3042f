/**
 * Everything the text side needs of a model, made of the contents of its files.
 *
 * @module
 */
import { decodeText } from "../protocol/payload.ts";
import { type ChatTemplate, createChatTemplate } from "./template.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

/** Contents of a model's files. */
export interface TextModelFiles {
  /** `tokenizer.json`. */
  readonly tokenizer: Uint8Array;
  /** `tokenizer_config.json`. */
  readonly tokenizerConfig?: Uint8Array;
  /** `chat_template.jinja` or `chat_template.json`. */
  readonly chatTemplate?: Uint8Array;
  /** `generation_config.json`. */
  readonly generationConfig?: Uint8Array;
  /** `config.json`. */
  readonly config?: Uint8Array;
}

/** The text side of a model. */
export interface TextModel {
  /** Text to ids and back. */
  readonly tokenizer: Tokenizer;
  /** Messages to a prompt; `null` if the model cannot chat. */
  readonly template: ChatTemplate | null;
  /** Ids that end an answer. */
  readonly eosTokenIds: readonly number[];
}

/**
 * Loads the text side of a model.
 *
 * @throws {SyntaxError} If a file cannot be read.
 */
export function loadTextModel(files: TextModelFiles): TextModel {
  const tokenizer = createTokenizer(files.tokenizer, files.tokenizerConfig);
  return { tokenizer, template: createChatTemplate(files), eosTokenIds: eosTokenIds(files, tokenizer) };
}

/**
 * The ids that end an answer.
 *
 * @source dynamo-llm 1.6.1: `generation_config.json`, else `config.json`, else its `text_config`, else the `eos_token` of
 * `tokenizer_config.json`
 */
function eosTokenIds(files: TextModelFiles, tokenizer: Tokenizer): readonly number[] {
  const config = parse(files.config);
  const found = [parse(files.generationConfig), config, config.text_config as Record<string, unknown> | undefined]
    .map((part) => integers(part?.eos_token_id))
    .find((ids) => ids.length > 0);
  if (found !== undefined) return found;
  const token = parse(files.tokenizerConfig).eos_token;
  const text = typeof token === "string" ? token : (token as { content?: unknown } | undefined)?.content;
  const id = typeof text === "string" ? tokenizer.idOf(text) : undefined;
  return id === undefined ? [] : [id];
}

function integers(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter((id) => Number.isSafeInteger(id));
}

function parse(bytes: Uint8Array | undefined): Record<string, unknown> {
  return bytes === undefined ? {} : JSON.parse(decodeText(bytes)) ?? {};
}
