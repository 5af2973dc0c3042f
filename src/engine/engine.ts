/**
 * The contract between an engine and the worker that runs it.
 *
 * @module
 */
import type { EngineConfig } from "../protocol/engine_config.ts";
import type { GenerateChunk } from "../protocol/output.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { GenerateContext, StartContext } from "./context.ts";
import type { ForwardPassPublisher } from "./forward_pass.ts";
import type { MetricsSource } from "./metrics_source.ts";
import type { KvEventSource, SnapshotPublisher } from "./kv_source.ts";
import type { OptionRow, OptionValues } from "./option.ts";

export type { EngineConfig };

/** An object as JSON has them, in wire spelling. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A token-in, token-out engine.
 *
 * The worker calls `start` once, then `generate` for each request, concurrently, then `drain` and `cleanup` once each.
 *
 * @source dynamo-backend-common 1.6.1, `engine.rs`, `LLMEngine`
 */
export interface Engine {
  /**
   * Loads the model. `cleanup` is owed from the moment this is called, also if it fails.
   *
   * @param workerId Identity of this worker in discovery.
   * @param signal Aborts when the process is told to stop; `start` may then give up.
   * @param ctx Time and a log, for as long as the engine lives.
   */
  start(workerId: bigint, signal: AbortSignal, ctx: StartContext): Promise<EngineConfig>;
  /**
   * Answers one request. Keep to `stop_conditions.max_tokens`, end with one terminal chunk, and yield
   * `chunk.cancelled()` once `ctx.signal` aborts. A thrown `DynamoError` reaches the client with its status; anything
   * else becomes `Unknown`.
   */
  generate(request: GenerateRequest, ctx: GenerateContext): AsyncIterable<GenerateChunk>;
  /** Tells a remote scheduler early that a request is not wanted; at most once, only for a real cancel. */
  abort?(ctx: GenerateContext): void | Promise<void>;
  /** Finishes background work before `cleanup`, when no request is left; `signal` aborts when its time is up. */
  drain?(signal: AbortSignal): void | Promise<void>;
  /** Polled while a prefill worker drains; `true` ends the wait, `null` means it cannot be told. */
  isQuiescent?(): boolean | null | Promise<boolean | null>;
  /**
   * A small request for the health canary to send while nobody else does, such as
   * `{ token_ids: [bos], stop_conditions: { max_tokens: 1, ignore_eos: true }, sampling_options: { temperature: 0 } }`.
   * Asked once after `start`, if the canary is on and no operator has set another; `null` means that there is none. The
   * request comes to `generate` like any other, marked for `isProbe`: a decode engine must not ask it for a prefill result.
   */
  healthCheckPayload?(): JsonObject | null;
  /**
   * Metrics of the engine's own, for the worker's `/metrics` to show beside its own. Asked once after `start`; the
   * sources are read at each scrape, before and after `cleanup` alike. What this throws fails the start.
   *
   * @source dynamo-common 1.6.1, `backend/engine.py`, `register_prometheus`
   */
  metricsSources?(): readonly MetricsSource[];
  /**
   * Operations on the serving life of the engine, by name: `ANY /engine/control/<name>` of the system server calls them
   * with the JSON body, `{}` if there is none, and sends what they return.
   *
   * Three pairs also move the worker: `sleep`, `pause_generation` and `release_memory_occupation` are called after it
   * has left discovery, which it has then even if they fail; after `wake_up`, `resume_generation` and
   * `resume_memory_occupation` it comes back, unless the reply has `status: "error"`, `success: false` or
   * `is_sleeping: true`. Of those six one runs at a time; requests already here may still be in `generate`, so wait for
   * them before freeing what they use. Any other name, such as `start_profile`, touches nothing but the engine.
   *
   * What they throw is answered with 500 and the message. Names are of letters, digits, `_`, `-` and `.`.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `supported_controls`, `engine_control`
   */
  readonly controls?: Readonly<Record<string, (body: JsonObject) => JsonObject | Promise<JsonObject>>>;
  /**
   * Operations on what the engine holds, such as `update_weights` or `load_lora`, under `/engine/update/<name>`. The
   * worker stays in discovery. The name `model_taints` is taken.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `supported_updates`, `engine_update`
   */
  readonly updates?: Readonly<Record<string, (body: JsonObject) => JsonObject | Promise<JsonObject>>>;
  /**
   * Refuses the body of a control by throwing, before the worker leaves discovery for it: the caller gets the message,
   * and nothing has changed.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `validate_engine_control`
   */
  validateControl?(name: string, body: JsonObject): void | Promise<void>;
  /**
   * Where KV events come from, at most one source for each data-parallel rank. Asked once after `start`, before the first
   * request; a failure fails the start. Without `kvCacheBlockSize` in the config there is nothing to publish.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `kv_event_sources`
   */
  kvEventSources?(): readonly KvEventSource[] | Promise<readonly KvEventSource[]>;
  /**
   * The ranks whose cache {@linkcode attachSnapshotPublisher} will be told of. Asked once after `start`.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `component_metrics_dp_ranks`
   */
  componentMetricsDpRanks?(): readonly number[];
  /**
   * Gets the way to report the state of its cache, once after `start`.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `attach_snapshot_publisher`
   */
  attachSnapshotPublisher?(publisher: SnapshotPublisher): void;
  /**
   * Gets the way to report its forward passes, once after `start`, if the worker has an event plane to publish them on;
   * what this throws fails the start.
   */
  attachForwardPassPublisher?(publisher: ForwardPassPublisher): void;
  /** Frees everything; must cope with a `start` that failed half way. Called exactly once per `start`. */
  cleanup(): void | Promise<void>;
}

/**
 * Returns the engine as it is; only checks that the required members are there.
 *
 * @throws {TypeError} If `start`, `generate` or `cleanup` is missing.
 * @example
 * ```ts
 * import { chunk, defineEngine } from "@stator/worker";
 *
 * const echo = defineEngine({
 *   start: () => Promise.resolve({ model: "echo" }),
 *   async *generate(request) {
 *     for (const id of request.token_ids) yield chunk.tokens([id]);
 *     yield chunk.stop();
 *   },
 *   cleanup() {},
 * });
 * ```
 */
export function defineEngine(engine: Engine): Engine {
  for (const member of ["start", "generate", "cleanup"] as const) {
    if (typeof engine[member] !== "function") {
      throw new TypeError(`Cannot define engine: ${member} is not a function`);
    }
  }
  return engine;
}

/** An engine that brings its own command-line options. */
export interface EngineModule {
  /** The engine's own rows; they join the common ones in one `--help`. */
  readonly options: readonly OptionRow[];
  /**
   * Defaults of common options that this engine changes, by key. A function gets the values as they are without: what an
   * operator sets may decide, such as the role.
   */
  readonly defaults?: OptionValues | ((values: OptionValues) => OptionValues);
  /**
   * Makes an engine of the parsed values; starts nothing. A process of several workers asks for one engine each, with
   * the same object of values.
   *
   * @param place @default the only one
   */
  create(values: OptionValues, place?: WorkerPlace): Engine | Promise<Engine>;
}

/** Which of the workers of a process an engine is for. */
export interface WorkerPlace {
  /** Its number, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
}
