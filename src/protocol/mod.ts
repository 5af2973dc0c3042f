/**
 * Dynamo's wire as pure code: frames, control messages, payloads, records, model cards.
 *
 * Bytes in, values out; no I/O. It follows Dynamo and may change with it in any release.
 *
 * @experimental
 * @module
 */
export {
  AckParser,
  decodeTwoPart,
  encodeAck,
  encodeRequestFrame,
  encodeTwoPart,
  type RequestFrame,
  RequestFrameParser,
  type TwoPartFrame,
  TwoPartParser,
} from "./frame.ts";
export {
  type AbortReason,
  type CallHome,
  decodeFrontendWord,
  decodeHeaders,
  decodeRequestHead,
  decodeWorkerHeader,
  encodeFrontendWord,
  encodeHandshake,
  encodePrologueError,
  encodeRequestHead,
  FINAL,
  type FrontendWord,
  PROLOGUE_OK,
  type RequestHead,
  SENTINEL,
  type WorkerHeader,
} from "./control.ts";
export { decodeMsgpack, encodeMsgpack, parseJson, stringifyJson } from "./payload.ts";
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
} from "./error.ts";
export { type DeclaredError, decodeError, encodeError, type ReceivedError } from "./received_error.ts";
export {
  type GenerateRequest,
  type OutputOptions,
  parseRequest,
  type RoutingHints,
  type SamplingOptions,
  type StopConditions,
} from "./request.ts";
export type { CompletionUsage, FinishReason, GenerateChunk, TopLogprob } from "./output.ts";
export {
  decodeInstance,
  decodeModel,
  type DiscoveryBucket,
  type DiscoveryKey,
  encodeInstance,
  encodeModel,
  type EndpointName,
  endpointPath,
  hexId,
  instanceKey,
  type InstanceRecord,
  type InstanceTransport,
  modelKey,
  type ModelRecord,
  type PayloadCodec,
  requestPath,
  slug,
} from "./record.ts";
export {
  type CardFile,
  type CardFiles,
  type CardTemplate,
  effectiveContextLength,
  type ModelCard,
  modelCardOf,
  type RuntimeConfig,
  type StructuralTag,
  type WorkerType,
} from "./model_card.ts";
export { buildModelCard, type ModelCardInput } from "./card_build.ts";
export type { EngineConfig } from "./engine_config.ts";
export { modelSum } from "./model_sum.ts";
