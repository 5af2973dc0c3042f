/**
 * Write an LLM worker for NVIDIA Dynamo in TypeScript.
 *
 * @example A whole worker
 * ```ts no-run
 * import { chunk, defineEngine, serve } from "@stator/worker";
 *
 * await serve(defineEngine({
 *   start: () => Promise.resolve({ model: "echo", contextLength: 4096 }),
 *   async *generate(request, ctx) {
 *     for (const id of request.token_ids) {
 *       if (ctx.signal.aborted) return yield chunk.cancelled();
 *       yield chunk.tokens([id]);
 *     }
 *     yield chunk.stop();
 *   },
 *   cleanup() {},
 * }));
 * ```
 *
 * @module
 */
export { createWorker, parseWorkerArgs, serve, type ServeOptions, type Worker, type WorkerArgs } from "./src/serve.ts";
export {
  defineEngine,
  type Engine,
  type EngineConfig,
  type EngineModule,
  type JsonObject,
  type WorkerPlace,
} from "./src/engine/engine.ts";
export {
  type AbortReason,
  type EngineClock,
  type GenerateContext,
  RequestAborted,
  type StartContext,
} from "./src/engine/context.ts";
export type { EngineLog, EngineLogFields } from "./src/engine/log.ts";
export { KvBlocks, type KvBlocksOptions, type NamedBlocks } from "./src/engine/kv_blocks.ts";
export type {
  ComponentSnapshot,
  KvEventPublisher,
  KvEventSource,
  KvItem,
  RemovedItem,
  SnapshotPublisher,
  StoredItem,
  StoredTokens,
} from "./src/engine/kv_source.ts";
export type { ForwardPass, ForwardPassPublisher, QueuedWork, ScheduledWork } from "./src/engine/forward_pass.ts";
export { forcedDpRank, offsetEndpointPort, validateDpRank } from "./src/engine/dp_rank.ts";
export type { MetricsRegistry, MetricsSource } from "./src/engine/metrics_source.ts";
export type { HeaderCarrier, Span, SpanAttributes, SpanValue, TraceContext } from "./src/engine/span.ts";
export type { OptionRow, OptionValues } from "./src/engine/option.ts";
export {
  DynamoError,
  type DynamoErrorOptions,
  type ErrorKind,
  invalidArgument,
  type PublicDetails,
  type PublicLimit,
  type PublicMessage,
  type PublicRateLimit,
  type WireError,
} from "./src/protocol/error.ts";
export {
  chunk,
  type ChunkBuilders,
  type CompletionUsage,
  type FinishReason,
  type GenerateChunk,
  type TopLogprob,
  usage,
} from "./src/protocol/output.ts";
export {
  type GenerateRequest,
  isProbe,
  type OutputOptions,
  type RoutingHints,
  type SamplingOptions,
  type StopConditions,
} from "./src/protocol/request.ts";
export { enforcePrefillMaxTokens, requirePrefillResult } from "./src/protocol/disaggregation.ts";
export type { EndpointName } from "./src/protocol/record.ts";
export { UsageError } from "./src/worker/command_line.ts";
export type { WorkerOptions } from "./src/worker/options.ts";
export type { WorkerInfo, WorkerOutcome } from "./src/worker/worker.ts";
