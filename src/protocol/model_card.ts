/**
 * The model card: what a worker tells frontends about its model.
 *
 * @module
 */
import type { MODEL_FLAGS } from "./card_check.ts";
import type { ModelRecord } from "./record.ts";

/** A surface of a model. */
export type ModelFlag = (typeof MODEL_FLAGS)[number];

/** A worker's part in serving. */
export type WorkerType = "aggregated" | "prefill" | "decode" | "encode";

/** A model file a frontend can get. */
export interface CardFile {
  /** URL, or a path on a disk that the frontend shares. */
  readonly path: string;
  /** `blake3:` and 64 lower-case hexadecimal digits. */
  readonly checksum: string;
  /** Length. @unit bytes */
  readonly size?: number;
}

/** A chat template and where it came from. */
export interface CardTemplate {
  /** Whether the worker's option named it, rather than the model's folder. */
  readonly is_custom: boolean;
  /** The template. */
  readonly file: CardFile;
}

/** The slots for files in a card. */
export interface CardFiles {
  /** `config.json`; `null` on a name-only card. */
  readonly model_info: { readonly hf_config_json: CardFile } | null;
  /** The tokenizer; `null` on a name-only card. */
  readonly tokenizer: { readonly hf_tokenizer_json: CardFile } | { readonly tik_token_model: CardFile } | null;
  /** `tokenizer_config.json`. */
  readonly prompt_formatter?: { readonly hf_tokenizer_config_json: CardFile };
  /** The chat template, when it is a file of its own. */
  readonly chat_template_file?:
    | { readonly hf_chat_template: CardTemplate }
    | { readonly hf_chat_template_json: CardTemplate };
  /** `generation_config.json`. */
  readonly gen_config?: { readonly hf_generation_config_json: CardFile };
  /** Every other small file of the model's folder; only when the worker serves them. */
  readonly extra_files?: readonly CardFile[];
}

/** How tool calls are constrained while they are generated. Members left out have the first value named. */
export interface StructuralTag {
  /** When it applies: `auto` or `always`. */
  readonly scope?: "auto" | "always";
  /** Argument schemas: `auto` or `strict`. */
  readonly schema?: "auto" | "strict";
  /** Whether tool calls are allowed beside a structured output. @default false */
  readonly allow_tool_calls_with_structured_output?: boolean;
  /** Whether special tokens are excluded; not said when left out. */
  readonly exclude_special_tokens?: boolean;
  /** Who finds the end of reasoning: `auto`, `structural_tag` or `backend`. */
  readonly reasoning_boundary?: "auto" | "structural_tag" | "backend";
  /** Whether arguments may come in any order. @default false */
  readonly tool_arguments_any_order?: boolean;
}

/** What routers and preprocessors know of the running engine. */
export interface RuntimeConfig {
  /** Longest prompt plus output. @unit tokens */
  readonly context_length?: number;
  /** KV cache blocks of one data-parallel rank. */
  readonly total_kv_blocks: number | null;
  /** Most sequences that run at once. */
  readonly max_num_seqs: number | null;
  /** Most tokens in one step. */
  readonly max_num_batched_tokens: number | null;
  /** Name of the tool call parser. */
  readonly tool_call_parser: string | null;
  /** Name of the reasoning parser. */
  readonly reasoning_parser: string | null;
  /** How tool call arguments travel. */
  readonly tool_call_arguments_format: "json_string" | "json_object";
  /** Presence turns it on. */
  readonly structural_tag?: StructuralTag;
  /** Legacy mirror of `structural_tag`. */
  readonly structural_tag_mode: "off" | "on";
  /** Legacy mirror of `structural_tag.scope`. */
  readonly structural_tag_scope: "auto" | "always";
  /** Legacy mirror of `structural_tag.schema`. */
  readonly structural_tag_schema: "auto" | "strict";
  /** Whether `tool_choice: "none"` also hides the tools from the template. */
  readonly exclude_tools_when_tool_choice_none: boolean;
  /** First data-parallel rank of this worker. */
  readonly data_parallel_start_rank: number;
  /** Data-parallel ranks. */
  readonly data_parallel_size: number;
  /** Whether missed KV events can be fetched from the worker. */
  readonly enable_local_indexer: boolean;
  /** Whether the worker publishes KV events; not said when left out. */
  readonly kv_event_publishing_enabled?: boolean;
  /** Endpoint of the KV state, when it is not the serving one. */
  readonly kv_state_endpoint?: { readonly namespace: string; readonly component: string; readonly name: string };
  /** Free data. */
  readonly runtime_data?: Readonly<Record<string, unknown>>;
  /** Rendezvous of a prefill worker. */
  readonly disaggregated_endpoint?: { readonly bootstrap_host: string; readonly bootstrap_port: number };
  /** Whether EAGLE speculation is on. */
  readonly enable_eagle: boolean;
  /** A set; the only part of a card that may change in place. */
  readonly taints?: readonly string[];
  /** Routing identity that outlives the process. @env DYN_STABLE_ROUTING_ID */
  readonly stable_routing_id?: string;
  /** Most LoRA adapters on the device. */
  readonly max_gpu_lora_count?: number;
}

/**
 * A model deployment card in wire spelling, its members in the order in which a stock worker writes them.
 *
 * @source dynamo-llm 1.6.1, `ModelDeploymentCard`
 */
export interface ModelCard extends CardFiles {
  /** The name clients use. */
  readonly display_name: string;
  /** The name in URLs. */
  readonly slug: string;
  /** The model path or repository as it was given to the worker. */
  readonly source_path?: string;
  /** Prompt placeholders. */
  readonly prompt_context?: readonly string[];
  /** What the model was trained for. @unit tokens */
  readonly architectural_max_context_length?: number;
  /** Legacy mirror of the effective context length, 0 if unknown. @unit tokens */
  readonly context_length: number;
  /** Tokens in a KV cache block. */
  readonly kv_cache_block_size: number;
  /** Most times a request may be migrated; frontends have their own setting. */
  readonly migration_limit: number;
  /** Surfaces, joined by ` | `. */
  readonly model_type: string;
  /** What the worker takes. */
  readonly model_input: "Text" | "Tokens" | "Tensor";
  /** The worker's part; absent or `null` on a legacy card. */
  readonly worker_type?: WorkerType | null;
  /** Which other workers must be live: any one of the lists, all of its members. */
  readonly needs?: readonly (readonly WorkerType[])[];
  /** The adapter, on a LoRA card. */
  readonly lora?: { readonly name: string; readonly max_gpu_lora_count?: number };
  /** Further names clients may use. */
  readonly aliases?: readonly string[];
  /** Free data. */
  readonly user_data?: unknown;
  /** What is known of the running engine. */
  readonly runtime_config: RuntimeConfig;
  /** Image decoding by the frontend. */
  readonly media_decoder?: unknown;
  /** Media fetching by the frontend. */
  readonly media_fetcher?: unknown;
  /** Overrides a frontend's router settings. */
  readonly router_config?: unknown;
  /** Which indexers may be shared. */
  readonly indexer_identity?: {
    readonly semantics?: Readonly<Record<string, string>>;
    readonly routing_scope?: Readonly<Record<string, string>>;
  };
}

/** The card of a record that `decodeModel` has checked. */
export function modelCardOf(record: ModelRecord): ModelCard {
  return { needs: [], runtime_config: {}, ...record.card_json } as unknown as ModelCard;
}

/** Longest prompt plus output that a card stands for; 0 if unknown. @unit tokens */
export function effectiveContextLength(card: ModelCard): number {
  return card.runtime_config.context_length ?? card.architectural_max_context_length ?? card.context_length ?? 0;
}
