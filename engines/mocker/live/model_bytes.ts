/**
 * How many bytes of KV a token of a model has, by its `config.json`.
 *
 * @source dynamo 1.6.1, `dynamo/mocker/utils/kv_cache.py`
 * @module
 */

/** Bytes of a value by its type; others count as 2. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  float32: 4,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  fp8: 1,
  fp8_ds_mla: 1,
  fp8_e4m3: 1,
  fp8_inc: 1,
  int8: 1,
};

/** Members under which configs of several modules keep that of their language model. */
const WRAPPERS = ["text_config", "llm_config", "language_config", "decoder", "thinker_config"] as const;
const WRAPPER_DEPTH = 3;

type Config = Readonly<Record<string, unknown>>;

/**
 * Bytes of KV of a token; `undefined` if the config lacks the sizes.
 *
 * @param cacheDtype Type of KV values; `auto` takes the model's.
 */
export function kvBytesPerToken(config: unknown, cacheDtype: string): number | undefined {
  const text = textConfig(config, WRAPPER_DEPTH);
  if (text === undefined) return undefined;
  const size = (name: string) => text[name] as number;
  const heads = size("num_attention_heads");
  const kvHeads = (text.num_key_value_heads ?? text.num_kv_heads ?? heads) as number;
  const dtype = cacheDtype === "auto" ? String(text.dtype ?? text.torch_dtype).replace(/^torch\./, "") : cacheDtype;
  const values = size("num_hidden_layers") * 2 * kvHeads * Math.floor(size("hidden_size") / heads);
  return Number.isSafeInteger(values) ? values * (DTYPE_BYTES[dtype] ?? 2) : undefined;
}

function textConfig(config: unknown, depth: number): Config | undefined {
  if (typeof config !== "object" || config === null) return undefined;
  const fields = config as Config;
  const required = ["num_hidden_layers", "num_attention_heads", "hidden_size"];
  if (required.every((name) => Number.isInteger(fields[name]))) return fields;
  if (depth === 0) return undefined;
  for (const name of WRAPPERS) {
    const found = textConfig(fields[name], depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
