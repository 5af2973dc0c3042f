/**
 * Chat messages to a prompt, with the model's own template.
 *
 * @module
 */
import { Template } from "@huggingface/jinja";
import { decodeText } from "../protocol/payload.ts";

/** A message as a template sees it; further members are passed on. */
export interface TemplateMessage {
  /** Who speaks. */
  readonly role: string;
  /** What is said. */
  readonly content: string | null;
  /** Further members. */
  readonly [member: string]: unknown;
}

/** A model's chat template. */
export interface ChatTemplate {
  /**
   * The prompt of a conversation.
   *
   * @param variables Further variables for the template, such as `enable_thinking`.
   * @throws {Error} If the template refuses the messages.
   */
  render(messages: readonly TemplateMessage[], variables?: Readonly<Record<string, unknown>>): string;
}

/** Where a template may come from. */
export interface TemplateFiles {
  /** `tokenizer_config.json`: template, and the texts of the begin and end tokens. */
  readonly tokenizerConfig?: Uint8Array;
  /** `chat_template.jinja`, or `chat_template.json`, whose template wins. */
  readonly chatTemplate?: Uint8Array;
}

/**
 * Makes a chat template of file contents; `null` if the model has none.
 *
 * @throws {SyntaxError} If a file or the template cannot be read.
 */
export function createChatTemplate(files: TemplateFiles): ChatTemplate | null {
  const config = parse(files.tokenizerConfig);
  const source = (files.chatTemplate === undefined ? undefined : templateText(files.chatTemplate)) ??
    namedTemplate(config.chat_template);
  if (source === undefined) return null;
  const template = new Template(source);
  const tokens = { bos_token: tokenText(config.bos_token), eos_token: tokenText(config.eos_token) };
  return {
    render: (messages, variables = {}) =>
      template.render({ ...tokens, add_generation_prompt: true, ...variables, messages }),
  };
}

/** A template file is either the template itself or JSON that holds it. */
function templateText(bytes: Uint8Array): string | undefined {
  const text = decodeText(bytes);
  try {
    return namedTemplate((JSON.parse(text) as { chat_template?: unknown }).chat_template);
  } catch {
    return text;
  }
}

/** A model has one template, or several by name, of which `default` is meant. */
function namedTemplate(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const all = value as readonly { readonly name?: unknown; readonly template?: unknown }[];
  const chosen = all.find((entry) => entry.name === "default") ?? all[0];
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}

/** A token is written as its text or as an object that holds it. */
function tokenText(value: unknown): string {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : "";
}

function parse(bytes: Uint8Array | undefined): Record<string, unknown> {
  return bytes === undefined ? {} : JSON.parse(decodeText(bytes));
}
