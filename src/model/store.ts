/**
 * Models as a frontend sees them: files named by a card, fetched, checked and loaded once.
 *
 * @module
 */
import type { Clock, Files } from "../platform/platform.ts";
import { fileChecksum } from "../protocol/checksum.ts";
import type { CardFile, ModelCard } from "../protocol/model_card.ts";
import { loadTextModel, type TextModel } from "./text_model.ts";

/** Settings of a {@linkcode ModelStore}. */
export interface ModelStoreOptions {
  /** For paths on this machine. */
  readonly files: Pick<Files, "read">;
  /** For time-outs. */
  readonly clock: Clock;
  /** For URLs. @default the runtime's own */
  readonly fetch?: (url: string, init: { readonly signal: AbortSignal }) => Promise<Response>;
}

/** Longest time one file may take. @unit milliseconds @source dynamo-llm 1.6.1: 300 s in all */
const FETCH_TIMEOUT_MS = 300_000;
/** Longest file whose card does not tell its size. @unit bytes @source dynamo-llm 1.6.1 */
const MAX_FILE_BYTES = 2 ** 30;

/** Loads the text side of models by their cards; the same files are fetched and loaded once. */
export class ModelStore {
  readonly #options: ModelStoreOptions;
  readonly #contents = new Map<string, Promise<Uint8Array>>();
  readonly #models = new Map<string, Promise<TextModel>>();

  /** Makes an empty store. */
  constructor(options: ModelStoreOptions) {
    this.#options = options;
  }

  /**
   * The text side of a card's model.
   *
   * @throws {Error} If a file is missing, differs from its checksum or cannot be read; it is tried anew next time.
   */
  load(card: ModelCard): Promise<TextModel> {
    const tokenizer = card.tokenizer !== null && "hf_tokenizer_json" in card.tokenizer
      ? card.tokenizer.hf_tokenizer_json
      : undefined;
    if (tokenizer === undefined) {
      return Promise.reject(new Error(`Cannot load model '${card.display_name}': its card names no tokenizer.json`));
    }
    const parts = {
      tokenizer,
      tokenizerConfig: card.prompt_formatter?.hf_tokenizer_config_json,
      chatTemplate: templateFile(card),
      generationConfig: card.gen_config?.hf_generation_config_json,
      config: card.model_info?.hf_config_json,
    };
    const key = JSON.stringify(Object.entries(parts).map(([name, file]) => [name, file?.checksum]));
    return once(this.#models, key, async () => {
      const entries = Object.entries(parts).filter((entry): entry is [string, CardFile] => entry[1] !== undefined);
      const contents = await Promise.all(entries.map(async ([name, file]) => [name, await this.#content(file)]));
      return loadTextModel(Object.fromEntries(contents));
    });
  }

  #content(file: CardFile): Promise<Uint8Array> {
    return once(this.#contents, file.checksum, async () => {
      const bytes = /^https?:\/\//.test(file.path)
        ? await this.#fetch(file)
        : await this.#options.files.read(file.path.replace(/^file:\/\//, ""));
      const checksum = fileChecksum(bytes);
      if (checksum !== file.checksum) {
        throw new Error(`Cannot use model file ${file.path}: its checksum is ${checksum}, not ${file.checksum}`);
      }
      return bytes;
    });
  }

  async #fetch(file: CardFile): Promise<Uint8Array> {
    const limit = file.size ?? MAX_FILE_BYTES;
    const control = new AbortController();
    using _timeout = this.#options.clock.timer(FETCH_TIMEOUT_MS, () => control.abort());
    const response = await (this.#options.fetch ?? fetch)(file.path, { signal: control.signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`Cannot fetch model file ${file.path}: HTTP ${response.status}`);
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > limit) {
      throw new Error(`Cannot fetch model file ${file.path}: ${bytes.length} bytes are more than ${limit}`);
    }
    return bytes;
  }
}

function templateFile(card: ModelCard): CardFile | undefined {
  const slot = card.chat_template_file;
  if (slot === undefined || slot === null) return undefined;
  return Object.values(slot)[0]?.file;
}

/** Runs `make` once per key, and again only if it failed. */
function once<T>(made: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = made.get(key);
  if (known !== undefined) return known;
  const making = make();
  made.set(key, making);
  making.catch(() => made.delete(key));
  return making;
}
