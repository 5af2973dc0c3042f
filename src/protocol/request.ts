/**
 * The request an engine gets: Dynamo's preprocessed request, in wire spelling.
 *
 * @module
 */
import { invalidArgument } from "./error.ts";

/** When to stop. Unset members are `null`. @source dynamo-llm 1.6.1, `StopConditions` */
export interface StopConditions {
  /** Most tokens to produce; the engine must keep to it, the frontend does not. */
  readonly max_tokens: number | null;
  /** Strings that end the answer; the frontend watches for them and then kills the stream. */
  readonly stop: readonly string[] | null;
  /** Token ids that end the answer. */
  readonly stop_token_ids: readonly number[] | null;
  /** Those of them that are shown. */
  readonly stop_token_ids_visible: readonly number[] | null;
  /** Those of them that are not shown; normally the end-of-sequence ids. */
  readonly stop_token_ids_hidden: readonly number[] | null;
  /** Fewest tokens before the answer may end. */
  readonly min_tokens: number | null;
  /** Go on past the end-of-sequence token. */
  readonly ignore_eos: boolean | null;
  /** Most tokens of reasoning. */
  readonly max_thinking_tokens: number | null;
}

/** How to sample. Unset members are `null`; floats were 32 bits wide on their way. @source dynamo-llm 1.6.1, `SamplingOptions` */
export interface SamplingOptions {
  /** Choices wanted. */
  readonly n: number | null;
  /** Candidates to pick from. */
  readonly best_of: number | null;
  /** Penalty for tokens that appeared. */
  readonly presence_penalty: number | null;
  /** Penalty by how often they appeared. */
  readonly frequency_penalty: number | null;
  /** Multiplicative penalty for repetition. */
  readonly repetition_penalty: number | null;
  /** Temperature; 0 means greedy. */
  readonly temperature: number | null;
  /** Nucleus mass. */
  readonly top_p: number | null;
  /** Candidates kept. */
  readonly top_k: number | null;
  /** Least probability relative to the best. */
  readonly min_p: number | null;
  /** Beam search. */
  readonly use_beam_search: boolean | null;
  /** Length penalty of beam search. */
  readonly length_penalty: number | null;
  /** Seed, a signed 64-bit integer. */
  readonly seed: bigint | null;
  /** Keep the stop string in the text. */
  readonly include_stop_str_in_output: boolean | null;
  /** Constraint on the output: one of `json`, `regex`, `choice`, `grammar`, `structural_tag`. */
  readonly guided_decoding: Readonly<Record<string, unknown>> | null;
}

/** What to report beside tokens. Unset members are `null`. @source dynamo-llm 1.6.1, `OutputOptions` */
export interface OutputOptions {
  /** Alternatives per token wanted with log-probabilities; `0` means only the token's own. */
  readonly logprobs: number | null;
  /** The same for the prompt. */
  readonly prompt_logprobs: number | null;
  /** Leave special tokens out of the text. */
  readonly skip_special_tokens: boolean | null;
  /** Whether the prompt came formatted. */
  readonly formatted_prompt: boolean | null;
  /** Report tokens as ids. */
  readonly return_tokens_as_token_ids: boolean | null;
  /** Do not trim the stop string. */
  readonly no_stop_trim?: boolean;
}

/** Where the router sent the request and why. Unset members are absent. @source dynamo-llm 1.6.1, `RoutingHints` */
export interface RoutingHints {
  /** Worker the client pinned. */
  readonly backend_instance_id?: bigint;
  /** Worker of the prefill leg. */
  readonly prefill_worker_id?: bigint;
  /** Worker of the decode leg. */
  readonly decode_worker_id?: bigint;
  /** Data-parallel rank chosen. */
  readonly dp_rank?: number;
  /** Data-parallel rank of the prefill leg. */
  readonly prefill_dp_rank?: number;
  /** Output length the client expects. @unit tokens */
  readonly expected_output_tokens?: number;
  /** LoRA adapter. */
  readonly lora_name?: string;
  /** Keeps prefix caches of tenants apart. */
  readonly cache_salt?: string;
  /** Scheduling priority. */
  readonly priority?: number;
  /** Workers allowed. */
  readonly allowed_worker_ids?: readonly bigint[];
  /** Further members. */
  readonly [member: string]: unknown;
}

/**
 * One request, as the frontend preprocessed it.
 *
 * Fields the frontend leaves out are absent; unknown fields are kept. Integers that were sent 64 bits wide are `bigint`
 * in fields that have no type of their own here.
 *
 * @source dynamo-llm 1.6.1, `PreprocessedRequest`
 */
export interface GenerateRequest {
  /** Model name the client used; empty in a health probe. */
  readonly model: string;
  /** The prompt. */
  readonly token_ids: Uint32Array;
  /** When to stop. */
  readonly stop_conditions: StopConditions;
  /** How to sample. */
  readonly sampling_options: SamplingOptions;
  /** What to report. */
  readonly output_options: OutputOptions;
  /** End-of-sequence ids of the model. */
  readonly eos_token_ids: readonly number[];
  /** Checksum of the model card the frontend used. */
  readonly mdc_sum: string | null;
  /** Annotations the client asked for. */
  readonly annotations: readonly string[];
  /** Routing. */
  readonly routing: RoutingHints;
  /** What the prefill leg handed over. */
  readonly prefill_result?: { readonly disaggregated_params: unknown; readonly [member: string]: unknown };
  /** What an encode worker handed over. */
  readonly encoder_result?: Readonly<Record<string, unknown>>;
  /** Rendezvous of both legs. */
  readonly bootstrap_info?: {
    readonly bootstrap_host: string;
    readonly bootstrap_port: number;
    readonly bootstrap_room: bigint;
    readonly [member: string]: unknown;
  };
  /** Media of the request by kind. */
  readonly multi_modal_data?: Readonly<Record<string, readonly unknown[]>>;
  /** Everything the frontend passes through. */
  readonly extra_args?: Readonly<Record<string, unknown>>;
  /** Set on health probes. */
  readonly _HEALTH_CHECK?: boolean;
  /** Further members. */
  readonly [member: string]: unknown;
}

/**
 * Whether a request is a probe of the health canary, which no client has sent and no other worker has prepared.
 *
 * @source dynamo 1.6.1, `backend/health_check.py`, `is_probe`: `true` and nothing like it
 */
export function isProbe(request: GenerateRequest): boolean {
  return request._HEALTH_CHECK === true;
}

const NO_STOP_CONDITIONS: StopConditions = {
  max_tokens: null,
  stop: null,
  stop_token_ids: null,
  stop_token_ids_visible: null,
  stop_token_ids_hidden: null,
  min_tokens: null,
  ignore_eos: null,
  max_thinking_tokens: null,
};

const NO_SAMPLING_OPTIONS: SamplingOptions = {
  n: null,
  best_of: null,
  presence_penalty: null,
  frequency_penalty: null,
  repetition_penalty: null,
  temperature: null,
  top_p: null,
  top_k: null,
  min_p: null,
  use_beam_search: null,
  length_penalty: null,
  seed: null,
  include_stop_str_in_output: null,
  guided_decoding: null,
};

const NO_OUTPUT_OPTIONS: OutputOptions = {
  logprobs: null,
  prompt_logprobs: null,
  skip_special_tokens: null,
  formatted_prompt: null,
  return_tokens_as_token_ids: null,
};

const U64_ROUTING_FIELDS = ["backend_instance_id", "prefill_worker_id", "decode_worker_id"] as const;

/**
 * Makes a request of a decoded body, filling what may be missing.
 *
 * @throws {DynamoError} `InvalidArgument` if a field an engine relies on has the wrong type.
 */
export function parseRequest(body: unknown): GenerateRequest {
  const raw = object(body, "the request");
  const sampling = { ...NO_SAMPLING_OPTIONS, ...optionalObject(raw.sampling_options, "sampling_options") };
  const stop = { ...NO_STOP_CONDITIONS, ...optionalObject(raw.stop_conditions, "stop_conditions") };
  return {
    ...raw,
    model: typeof raw.model === "string" ? raw.model : "",
    token_ids: parseTokenIds(raw.token_ids),
    stop_conditions: {
      ...stop,
      max_tokens: count(stop.max_tokens, "stop_conditions.max_tokens"),
      min_tokens: count(stop.min_tokens, "stop_conditions.min_tokens"),
    },
    sampling_options: { ...sampling, seed: integer(sampling.seed, "sampling_options.seed") },
    output_options: { ...NO_OUTPUT_OPTIONS, ...optionalObject(raw.output_options, "output_options") },
    eos_token_ids: optionalArray(raw.eos_token_ids, "eos_token_ids") as number[],
    mdc_sum: typeof raw.mdc_sum === "string" ? raw.mdc_sum : null,
    annotations: optionalArray(raw.annotations, "annotations") as string[],
    routing: parseRouting(raw.routing),
    ...parseBootstrap(raw.bootstrap_info),
  };
}

function parseRouting(value: unknown): RoutingHints {
  const routing = { ...optionalObject(value, "routing") };
  for (const field of U64_ROUTING_FIELDS) {
    if (routing[field] !== undefined) routing[field] = integer(routing[field], `routing.${field}`);
  }
  if (Array.isArray(routing.allowed_worker_ids)) {
    routing.allowed_worker_ids = routing.allowed_worker_ids.map((id) => integer(id, "routing.allowed_worker_ids"));
  }
  return routing as RoutingHints;
}

function parseBootstrap(value: unknown): Pick<GenerateRequest, "bootstrap_info"> {
  if (value === undefined || value === null) return {};
  const info = object(value, "bootstrap_info");
  const room = integer(info.bootstrap_room, "bootstrap_info.bootstrap_room");
  return { bootstrap_info: { ...info, bootstrap_room: room } as NonNullable<GenerateRequest["bootstrap_info"]> };
}

const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Token ids as an array of u32, or packed as little-endian 32-bit integers. */
function parseTokenIds(value: unknown): Uint32Array {
  if (value instanceof Uint8Array) {
    if (value.length % 4 !== 0) throw invalidArgument("packed token_ids are not a multiple of 4 bytes");
    if (littleEndian) return new Uint32Array(value.slice().buffer);
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    return Uint32Array.from({ length: value.length / 4 }, (_, i) => view.getUint32(4 * i, true));
  }
  if (!Array.isArray(value)) throw invalidArgument("token_ids must be an array of unsigned 32-bit integers");
  const ids = new Uint32Array(value.length);
  for (let i = 0; i < value.length; i++) {
    const id = value[i];
    ids[i] = id;
    if (ids[i] !== id) throw invalidArgument(`token_ids[${i}] is not an unsigned 32-bit integer`);
  }
  return ids;
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw invalidArgument(`${name} must be an object`);
  }
  return value as Record<string, unknown>;
}

function optionalObject(value: unknown, name: string): Record<string, unknown> {
  return value === undefined || value === null ? {} : object(value, name);
}

function optionalArray(value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalidArgument(`${name} must be an array`);
  return value;
}

function integer(value: unknown, name: string): bigint | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return value;
  if (Number.isSafeInteger(value)) return BigInt(value as number);
  throw invalidArgument(`${name} must be an integer`);
}

/** A count that was sent in any width. */
function count(value: unknown, name: string): number | null {
  const whole = integer(value, name);
  if (whole === null) return null;
  if (whole < 0n || whole > 0xffff_ffffn) throw invalidArgument(`${name} must be between 0 and 4294967295`);
  return Number(whole);
}
