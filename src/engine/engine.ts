/**
 * The contract between an engine and the worker that runs it.
 *
 * @module
 */
import type { GenerateChunk } from "../protocol/output.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { GenerateContext } from "./context.ts";
import type { OptionRow, OptionValues } from "./option.ts";

/** What an engine says about itself once it has started. Members left out are not advertised. */
export interface EngineConfig {
  /** Model name or path; not empty. */
  readonly model: string;
  /** Name clients use; a worker option of the same name wins. @default the model */
  readonly servedModelName?: string;
  /** Further names clients may use. */
  readonly modelAliases?: readonly string[];
  /** Longest prompt plus output. @unit tokens */
  readonly contextLength?: number;
  /** Tokens in a KV cache block. @default 16 */
  readonly kvCacheBlockSize?: number;
  /** KV cache blocks, per data-parallel rank. */
  readonly totalKvBlocks?: number;
  /** Most sequences that run at once. */
  readonly maxNumSeqs?: number;
  /** Most tokens in one step. */
  readonly maxNumBatchedTokens?: number;
  /** Most LoRA adapters on the device. */
  readonly maxGpuLoraCount?: number;
  /** Data-parallel ranks. @default 1 */
  readonly dataParallelSize?: number;
  /** First rank of this worker. @default 0 */
  readonly dataParallelStartRank?: number;
  /** Whether EAGLE speculation is on. @default false */
  readonly enableEagle?: boolean;
  /** Rendezvous host of a prefill worker; advertised together with the port. */
  readonly bootstrapHost?: string;
  /** Rendezvous port of a prefill worker. */
  readonly bootstrapPort?: number;
  /** Anything else routers should know, copied to the model card. */
  readonly runtimeData?: Readonly<Record<string, unknown>>;
}

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
   */
  start(workerId: bigint, signal: AbortSignal): Promise<EngineConfig>;
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
  /** Defaults of common options that this engine changes, by key. */
  readonly defaults?: OptionValues;
  /** Makes the engine of the parsed values; starts nothing. */
  create(values: OptionValues): Engine | Promise<Engine>;
}
