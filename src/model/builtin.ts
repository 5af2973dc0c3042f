/**
 * The built-in model: a byte-level tokenizer, a chat template and the configuration files around them, as text.
 *
 * Nothing is read from disk, so a compiled binary needs nothing beside itself.
 *
 * @module
 */
import { encodeText } from "../protocol/payload.ts";

/** Special tokens, with ids from 256 on; the template below writes them. */
const SPECIAL_TOKENS = ["<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"] as const;
const BOS_ID = 256;
const EOS_ID = 257;
/** Longest prompt plus output. @unit tokens */
const CONTEXT_LENGTH = 8192;

const CHAT_TEMPLATE = "{{ '<|bos|>' }}" +
  "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

let files: ReadonlyMap<string, Uint8Array> | undefined;

/** The built-in model's files by name, made on first use. */
export function builtinModelFiles(): ReadonlyMap<string, Uint8Array> {
  return files ??= new Map([
    ["config.json", json(config())],
    ["generation_config.json", json({ bos_token_id: BOS_ID, eos_token_id: [EOS_ID] })],
    ["tokenizer.json", json(tokenizer())],
    ["tokenizer_config.json", json(tokenizerConfig())],
  ]);
}

function config(): unknown {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: BOS_ID + SPECIAL_TOKENS.length,
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    max_position_embeddings: CONTEXT_LENGTH,
    bos_token_id: BOS_ID,
    eos_token_id: EOS_ID,
    torch_dtype: "bfloat16",
  };
}

function tokenizerConfig(): unknown {
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: SPECIAL_TOKENS[0],
    eos_token: SPECIAL_TOKENS[1],
    chat_template: CHAT_TEMPLATE,
    model_max_length: CONTEXT_LENGTH,
    clean_up_tokenization_spaces: false,
  };
}

/** A byte-pair tokenizer without merges: every byte is a token. */
function tokenizer(): unknown {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, i) => ({ id: BOS_ID + i, content, ...flags })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(byteAlphabet().map((letter, id) => [letter, id])),
      merges: [],
    },
  };
}

/**
 * The letters that stand for bytes, in the order of their ids: bytes that print stand for themselves and come first,
 * the others are moved to U+0100 and on.
 *
 * @source GPT-2 byte-level BPE, `bytes_to_unicode`
 */
function byteAlphabet(): string[] {
  const prints = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const moved = bytes.filter((byte) => !prints(byte));
  return [
    ...bytes.filter(prints).map((byte) => String.fromCharCode(byte)),
    ...moved.map((_, i) => String.fromCharCode(0x100 + i)),
  ];
}

function json(value: unknown): Uint8Array {
  return encodeText(JSON.stringify(value));
}
