/**
 * Dynamo's wire as pure code: frames, control messages, payloads, records, model cards, events, block hashes.
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
export { BlockHasher, type BlockHashOptions, loraId, nextSequenceHash, sequenceHashes } from "./block_hash.ts";
export { mmHashOf, padToken, withPadTokens } from "./mm_hash.ts";
export {
  ACTIVE_SEQUENCES_TOPIC,
  decodeEnvelope,
  decodeZmqFrames,
  encodeEnvelope,
  encodeZmqFrames,
  type EventEnvelope,
  type EventScope,
  eventSegment,
  EventSequence,
  eventSubject,
  FORWARD_PASS_TOPIC,
  KV_EVENTS_TOPIC,
  KV_METRICS_TOPIC,
  publisherId,
  type ScopeEndpoint,
  scopeSegments,
  subjectPrefix,
  type ZmqMessage,
} from "./event.ts";
export {
  decodeKvEvents,
  encodeKvEvents,
  type KvEventData,
  type MmInfo,
  type MmObject,
  type ResidencyDomain,
  type RouterEvent,
  type StorageTier,
  type StoredBlock,
  type StoredData,
} from "./kv_event.ts";
export {
  decodeRecoveryReply,
  encodeRecoveryQuery,
  encodeRecoveryReply,
  readRecoveryQuery,
  recoveryEndpointName,
  type RecoveryQuery,
  type RecoveryReply,
} from "./kv_recovery.ts";
export {
  type ActiveSequenceEvent,
  decodeActiveSequences,
  decodeForwardPass,
  decodeKvMetrics,
  encodeActiveSequence,
  encodeActiveSequences,
  encodeForwardPass,
  encodeKvMetrics,
  type ForwardPassMetrics,
  type KvMetrics,
  type QueuedRequests,
  type ScheduledRequests,
} from "./load_event.ts";
export {
  decodeEventChannel,
  decodeEventSource,
  encodeEventChannel,
  encodeEventSource,
  eventChannelKey,
  type EventChannelRecord,
  eventSourceKey,
  type EventSourceRecord,
  type EventTransport,
} from "./event_record.ts";
export {
  decodeEngineBatch,
  encodeReplayRequest,
  type EngineBatch,
  type EngineBlockPlace,
  type EngineBlockRemoved,
  type EngineBlocksCleared,
  type EngineBlockStored,
  type EngineEvent,
  type EngineEventIgnored,
  type EngineMessage,
  splitEngineFrames,
  splitReplayFrames,
} from "./engine_batch.ts";
