/**
 * Text to token ids and back, with the model's own `tokenizer.json`.
 *
 * @module
 */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { decodeText } from "../protocol/payload.ts";

/** Settings of {@linkcode Tokenizer.decode}. */
export interface DecodeOptions {
  /** Leave special tokens out. @default true */
  readonly skipSpecialTokens?: boolean;
}

/** A model's tokenizer. */
export interface Tokenizer {
  /** Token ids of a text; special tokens are recognised where they are spelled out, none are added. */
  encode(text: string): number[];
  /** Text of token ids. Ids the model does not have show as nothing, broken UTF-8 as U+FFFD. */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Id of a token by its exact spelling. */
  idOf(token: string): number | undefined;
  /** Whether the model has this id. */
  has(id: number): boolean;
}

/**
 * Makes a tokenizer of file contents.
 *
 * @param tokenizerJson `tokenizer.json`
 * @param tokenizerConfigJson `tokenizer_config.json`, if the model has one
 * @throws {SyntaxError} If a file is not JSON.
 * @throws {Error} If the tokenizer is of a kind the library does not know.
 */
export function createTokenizer(tokenizerJson: Uint8Array, tokenizerConfigJson?: Uint8Array): Tokenizer {
  const config = tokenizerConfigJson === undefined ? {} : JSON.parse(decodeText(tokenizerConfigJson));
  const inner = new HuggingFaceTokenizer(JSON.parse(decodeText(tokenizerJson)), config);
  return {
    // The chat template writes what a model wants around a prompt, and Dynamo's frontend adds nothing either.
    encode: (text) => text === "" ? [] : inner.encode(text, { add_special_tokens: false }).ids,
    decode(ids, options = {}) {
      const known = ids.filter((id) => inner.id_to_token(id) !== undefined);
      if (known.length === 0) return "";
      return inner.decode(known, {
        skip_special_tokens: options.skipSpecialTokens ?? true,
        // The library's default drops blanks before punctuation, which would change text that is still growing.
        clean_up_tokenization_spaces: false,
      });
    },
    idOf: (token) => inner.token_to_id(token),
    has: (id) => inner.id_to_token(id) !== undefined,
  };
}
