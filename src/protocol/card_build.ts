/**
 * Builds the model card of a worker from what its engine and its options say.
 *
 * @module
 */
import { MODEL_FLAGS } from "./card_check.ts";
import type { EngineConfig } from "./engine_config.ts";
import { invalidArgument } from "./error.ts";
import type { CardFiles, ModelCard, ModelFlag, RuntimeConfig, StructuralTag, WorkerType } from "./model_card.ts";
import { REASONING_PARSERS, TOOL_CALL_PARSERS } from "./parser_names.ts";
import { type EndpointName, slug } from "./record.ts";

/** Everything a card is made of. */
export interface ModelCardInput {
  /** What the engine said when it started. */
  readonly engine: EngineConfig;
  /** Name clients use; wins over the engine's. */
  readonly servedModelName?: string;
  /** Model path or name as given to the worker; left out for a name-only card. */
  readonly sourcePath?: string;
  /** The model's files; left out for a name-only card. */
  readonly files?: CardFiles;
  /** Context length of the model's own configuration. @unit tokens */
  readonly architecturalContextLength?: number;
  /** Comma list of endpoint types. @default "chat,completions" */
  readonly endpointTypes?: string;
  /** The worker's part. @default "aggregated" */
  readonly role?: WorkerType;
  /** Whether images go through an encode worker first. @default false */
  readonly routeToEncoder?: boolean;
  /** Tool call parser of the frontend. */
  readonly toolCallParser?: string;
  /** Reasoning parser of the frontend. */
  readonly reasoningParser?: string;
  /** Copied to `runtime_data.default_thinking_mode`. */
  readonly defaultThinkingMode?: string;
  /** Whether `tool_choice: "none"` also hides the tools from the template. @default true */
  readonly excludeToolsWhenToolChoiceNone?: boolean;
  /** Presence turns structural tags on; unknown members are refused. */
  readonly structuralTag?: StructuralTag;
  /** Whether missed KV events can be fetched from the worker; never for encode workers. @default true */
  readonly enableLocalIndexer?: boolean;
  /** Endpoint of the KV state, when it is not the serving one. */
  readonly kvStateEndpoint?: EndpointName;
  /** Whether the worker publishes KV events; not said when left out. */
  readonly kvEventPublishingEnabled?: boolean;
  /** Routing identity that outlives the process; blank counts as unset. @env DYN_STABLE_ROUTING_ID */
  readonly stableRoutingId?: string;
}

const DEFAULT_BLOCK_SIZE = 16;
const U32_MAX = 0xffff_ffff;

/**
 * Builds the card; `stringifyJson` of it has the bytes of a stock worker with the same settings.
 *
 * @throws {DynamoError} `InvalidArgument`, if a setting is one that a stock worker refuses.
 * @source dynamo-llm 1.6.1, `LocalModelBuilder`; dynamo-backend-common 1.6.1, `worker.rs`
 */
export function buildModelCard(input: ModelCardInput): ModelCard {
  const { engine } = input;
  const displayName = input.servedModelName ?? engine.servedModelName ?? engine.model;
  if (displayName === "") throw invalidArgument("model name cannot be empty");
  if (engine.modelAliases?.includes("")) throw invalidArgument("model alias cannot be empty");
  const files: CardFiles = input.files ?? { model_info: null, tokenizer: null };
  const { role = "aggregated", routeToEncoder = false } = input;
  const architectural = input.architecturalContextLength || undefined;
  const runtime = runtimeConfig(input, role, routeToEncoder);
  return present<ModelCard>({
    display_name: displayName,
    slug: slug(displayName),
    source_path: input.sourcePath,
    model_info: files.model_info,
    tokenizer: files.tokenizer,
    prompt_formatter: files.prompt_formatter,
    chat_template_file: files.chat_template_file,
    gen_config: files.gen_config,
    architectural_max_context_length: architectural,
    context_length: runtime.context_length ?? architectural ?? 0,
    kv_cache_block_size: count(engine.kvCacheBlockSize, "kvCacheBlockSize", 1) ?? DEFAULT_BLOCK_SIZE,
    migration_limit: 0,
    model_type: modelType(role, parseEndpointTypes(input.endpointTypes ?? "chat,completions")),
    model_input: "Tokens",
    worker_type: role,
    needs: needs(role, routeToEncoder),
    aliases: engine.modelAliases?.length ? engine.modelAliases : undefined,
    runtime_config: runtime,
    media_decoder: null,
    media_fetcher: null,
    extra_files: files.extra_files?.length ? files.extra_files : undefined,
  });
}

function runtimeConfig(input: ModelCardInput, role: WorkerType, routeToEncoder: boolean): RuntimeConfig {
  const { engine, kvStateEndpoint: kvState } = input;
  const tag = input.structuralTag === undefined ? undefined : completeTag(input.structuralTag);
  const size = count(engine.dataParallelSize, "dataParallelSize", 1) ?? 1;
  const startRank = count(engine.dataParallelStartRank, "dataParallelStartRank") ?? 0;
  if (startRank + size > U32_MAX) throw invalidArgument("data-parallel rank range overflows");
  const data = {
    ...engine.runtimeData,
    ...(input.defaultThinkingMode === undefined ? {} : { default_thinking_mode: input.defaultThinkingMode }),
    ...(routeToEncoder ? { encoder_result_handoff: true } : {}),
  };
  return present<RuntimeConfig>({
    context_length: count(engine.contextLength, "contextLength"),
    total_kv_blocks: count(engine.totalKvBlocks, "totalKvBlocks", 0, Number.MAX_SAFE_INTEGER) ?? null,
    max_num_seqs: count(engine.maxNumSeqs, "maxNumSeqs", 0, Number.MAX_SAFE_INTEGER) ?? null,
    max_num_batched_tokens: count(engine.maxNumBatchedTokens, "maxNumBatchedTokens", 0, Number.MAX_SAFE_INTEGER) ??
      null,
    tool_call_parser: known(input.toolCallParser, "tool call parser", TOOL_CALL_PARSERS),
    reasoning_parser: known(input.reasoningParser, "reasoning parser", REASONING_PARSERS),
    tool_call_arguments_format: "json_string",
    structural_tag: tag,
    structural_tag_mode: tag === undefined ? "off" : "on",
    structural_tag_scope: tag?.scope ?? "auto",
    structural_tag_schema: tag?.schema ?? "auto",
    exclude_tools_when_tool_choice_none: input.excludeToolsWhenToolChoiceNone ?? true,
    data_parallel_start_rank: startRank,
    data_parallel_size: size,
    enable_local_indexer: role !== "encode" && (input.enableLocalIndexer ?? true),
    kv_event_publishing_enabled: input.kvEventPublishingEnabled,
    kv_state_endpoint: kvState && {
      namespace: kvState.namespace,
      component: kvState.component,
      name: kvState.endpoint,
    },
    runtime_data: Object.keys(data).length === 0 ? undefined : data,
    disaggregated_endpoint: bootstrap(engine),
    enable_eagle: engine.enableEagle ?? false,
    stable_routing_id: input.stableRoutingId?.trim() || undefined,
    max_gpu_lora_count: count(engine.maxGpuLoraCount, "maxGpuLoraCount"),
  });
}

/** Endpoint types by every name that the option takes. */
const ENDPOINT_TYPES: ReadonlyMap<string, ModelFlag> = new Map<string, ModelFlag>([
  ["chat", "Chat"],
  ["completions", "Completions"],
  ["embedding", "Embedding"],
  ["embeddings", "Embedding"],
  ["tensor", "TensorBased"],
  ["image", "Images"],
  ["images", "Images"],
  ["audio", "Audios"],
  ["audios", "Audios"],
  ["video", "Videos"],
  ["videos", "Videos"],
]);

/**
 * Reads a comma list of endpoint types: blanks, case and empty items do not matter.
 *
 * @returns The surfaces in the order of a card.
 * @throws {DynamoError} `InvalidArgument`, if one is unknown or none is given.
 * @source dynamo-backend-common 1.6.1, `worker.rs`, endpoint types
 */
export function parseEndpointTypes(text: string): readonly ModelFlag[] {
  const wanted = new Set<ModelFlag>();
  for (const item of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const flag = ENDPOINT_TYPES.get(item.toLowerCase());
    if (flag === undefined) throw invalidArgument(`unknown endpoint type '${item}'`);
    wanted.add(flag);
  }
  if (wanted.size === 0) throw invalidArgument("endpoint_types cannot be empty");
  return MODEL_FLAGS.filter((flag) => wanted.has(flag));
}

function modelType(role: WorkerType, flags: readonly ModelFlag[]): string {
  if (role === "prefill") return "Prefill";
  return role === "encode" ? "" : flags.join(" | ");
}

function needs(role: WorkerType, routeToEncoder: boolean): readonly (readonly WorkerType[])[] {
  switch (role) {
    case "aggregated":
      return routeToEncoder ? [["encode"]] : [];
    case "prefill":
      return routeToEncoder ? [["decode", "encode"]] : [["decode"]];
    case "decode":
    case "encode":
      if (routeToEncoder) throw invalidArgument(`route_to_encoder is not supported for ${role} workers`);
      return role === "decode" ? [["prefill"]] : [["prefill", "decode"], ["aggregated"]];
  }
}

/** What each member of a structural tag may be. */
const TAG_VALUES: Readonly<Record<keyof StructuralTag, readonly unknown[]>> = {
  scope: ["auto", "always"],
  schema: ["auto", "strict"],
  allow_tool_calls_with_structured_output: [true, false],
  exclude_special_tokens: [true, false],
  reasoning_boundary: ["auto", "structural_tag", "backend"],
  tool_arguments_any_order: [true, false],
};

function completeTag(tag: StructuralTag): StructuralTag {
  for (const [name, value] of Object.entries(tag)) {
    const values = Object.hasOwn(TAG_VALUES, name) ? TAG_VALUES[name as keyof StructuralTag] : undefined;
    if (values === undefined) throw invalidArgument(`unknown field '${name}' of structural_tag`);
    if (!values.includes(value)) throw invalidArgument(`structural_tag.${name} must be one of ${values.join(", ")}`);
  }
  return present<StructuralTag>({
    scope: tag.scope ?? "auto",
    schema: tag.schema ?? "auto",
    allow_tool_calls_with_structured_output: tag.allow_tool_calls_with_structured_output ?? false,
    exclude_special_tokens: tag.exclude_special_tokens,
    reasoning_boundary: tag.reasoning_boundary ?? "auto",
    tool_arguments_any_order: tag.tool_arguments_any_order ?? false,
  });
}

function bootstrap(engine: EngineConfig): RuntimeConfig["disaggregated_endpoint"] {
  const port = count(engine.bootstrapPort, "bootstrapPort", 1, 0xffff);
  if (engine.bootstrapHost === undefined || port === undefined) return undefined;
  return { bootstrap_host: engine.bootstrapHost, bootstrap_port: port };
}

function known(name: string | undefined, what: string, names: readonly string[]): string | null {
  if (name === undefined || name === "") return null;
  if (!names.includes(name)) throw invalidArgument(`unknown ${what} '${name}', expected one of: ${names.join(", ")}`);
  return name;
}

function count(value: number | undefined, name: string, min = 0, max = U32_MAX): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw invalidArgument(`${name} must be an integer between ${min} and ${max}`);
  }
  return value;
}

/** Drops members that are `undefined`, so that a built card equals a decoded one. */
function present<T>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
