/**
 * The settings of a worker, given and complete.
 *
 * @module
 */

import type { JsonObject } from "../engine/engine.ts";
import type { StructuralTag } from "../protocol/model_card.ts";

/** Settings of a worker, by the keys of `WORKER_OPTIONS`; all optional. */
export interface WorkerOptions {
  /** Dynamo namespace. @default "dynamo" @env DYN_NAMESPACE */
  readonly namespace?: string;
  /** Appended to the namespace as `-<suffix>`. @env DYN_NAMESPACE_WORKER_SUFFIX */
  readonly namespaceSuffix?: string;
  /** Component of the worker. @default "backend" @env DYN_COMPONENT */
  readonly component?: string;
  /** Endpoint of the component, or all three as `dyn://namespace.component.endpoint`. @default "generate" @env DYN_ENDPOINT */
  readonly endpoint?: string;
  /** The worker's part in serving. @default "agg" @env DYN_DISAGGREGATION_MODE */
  readonly disaggregationMode?: "agg" | "aggregated" | "prefill" | "decode" | "encode";
  /** Media requests come through an encode worker first. @default false @env DYN_ROUTE_TO_ENCODER */
  readonly routeToEncoder?: boolean;
  /**
   * Workers of this process, each with an engine, a record and a card of its own; only `serve` heeds it. Ports that are
   * set are those of the first one, the others count up.
   *
   * @default 1
   */
  readonly numWorkers?: number;
  /** Time between the beginnings of two of them; -1 chooses by their number. @unit seconds @default 0 */
  readonly staggerDelaySeconds?: number;
  /** Model name, or a local model folder. */
  readonly modelName?: string;
  /** Local folder with tokenizer, template and config, when the name is not one. */
  readonly modelPath?: string;
  /** Name that clients use. */
  readonly servedModelName?: string;
  /** Surfaces of the model, joined by commas. @default "chat,completions" @env DYN_ENDPOINT_TYPES */
  readonly endpointTypes?: string;
  /** File with a chat template. @env DYN_CUSTOM_JINJA_TEMPLATE */
  readonly customJinjaTemplate?: string;
  /** Parser of tool calls in the frontend. @env DYN_TOOL_CALL_PARSER */
  readonly toolCallParser?: string;
  /** Parser of reasoning in the frontend. @env DYN_REASONING_PARSER */
  readonly reasoningParser?: string;
  /** `tool_choice: "none"` also hides the tools from the template. @default true */
  readonly excludeToolsWhenToolChoiceNone?: boolean;
  /**
   * How tool calls are constrained while they are generated: an object, the same as JSON text, `true` for one with
   * defaults, or `false`.
   *
   * @env DYN_STRUCTURAL_TAG
   */
  readonly structuralTag?: string | StructuralTag;
  /** Routing identity that outlives the process. @env DYN_STABLE_ROUTING_ID */
  readonly stableRoutingId?: string;
  /** Where workers and frontends find each other: `mem`, `file` or `etcd`. @default "mem" @env DYN_DISCOVERY_BACKEND */
  readonly discoveryBackend?: string;
  /** Folder of the file backend. @env DYN_FILE_KV */
  readonly fileKv?: string;
  /** Serve the model's files from the system server. @default true @env DYN_SELF_HOST_METADATA */
  readonly selfHostMetadata?: boolean;
  /** How requests arrive: `tcp` or `nats`. @default "tcp" @env DYN_REQUEST_PLANE */
  readonly requestPlane?: string;
  /** How answers leave. @default "tcp" @env DYN_RESPONSE_PLANE */
  readonly responsePlane?: string;
  /** How events leave: `zmq` or `nats`. @default "zmq", or not at all with `mem` discovery @env DYN_EVENT_PLANE */
  readonly eventPlane?: string;
  /** IP address or interface that subscribers of events are told. @default the first that others can reach @env DYN_EVENT_PLANE_HOST */
  readonly eventPlaneHost?: string;
  /** ZeroMQ brokers to publish through, as `xsub=<url>,xpub=<url>`. @default none @env DYN_ZMQ_BROKER_URL */
  readonly zmqBrokerUrl?: string;
  /** Publish no KV events and no load, so that routers choose this worker by their own counts only. @default false */
  readonly disableKvRouting?: boolean;
  /** Look the ZeroMQ brokers up in discovery; `zmqBrokerUrl` wins. @default false @env DYN_ZMQ_BROKER_ENABLED */
  readonly zmqBrokerEnabled?: boolean;
  /** URLs of etcd's members, joined by commas: `http://` or `https://`. @default "http://localhost:2379" @env ETCD_ENDPOINTS */
  readonly etcdEndpoints?: string;
  /** How long records in etcd outlive a worker that is gone. @unit seconds @default 30 @env ETCD_LEASE_TTL */
  readonly etcdLeaseTtlSeconds?: number;
  /** User at etcd. @env ETCD_AUTH_USERNAME */
  readonly etcdUsername?: string;
  /** Password of that user. @env ETCD_AUTH_PASSWORD */
  readonly etcdPassword?: string;
  /** Authorities for `https://`, as PEM text or the path of a file with it. @default those of the system @env ETCD_AUTH_CA */
  readonly etcdTlsCa?: string;
  /** The worker's certificate for `https://`, likewise. @env ETCD_AUTH_CLIENT_CERT */
  readonly etcdTlsCert?: string;
  /** Key of that certificate, likewise. @env ETCD_AUTH_CLIENT_KEY */
  readonly etcdTlsKey?: string;
  /** How long a worker waits for etcd at its start. @unit seconds @default 120 @env ETCD_STARTUP_CONNECT_TIMEOUT_SECONDS */
  readonly etcdConnectTimeoutSeconds?: number;
  /** Time between two looks at whether etcd is behind a silent watch; 0 = never. @unit seconds @default 15 @env ETCD_KEEPALIVE_INTERVAL_SECONDS */
  readonly etcdKeepAliveIntervalSeconds?: number;
  /** How long such a look may take. @unit seconds @default 10 @env ETCD_KEEPALIVE_TIMEOUT_SECONDS */
  readonly etcdKeepAliveTimeoutSeconds?: number;
  /** URLs of NATS servers, joined by commas: `nats://` or `tls://`. @default "nats://localhost:4222" @env NATS_SERVER */
  readonly natsServer?: string;
  /** User at NATS. @default "user", with the same as password @env NATS_AUTH_USERNAME */
  readonly natsUsername?: string;
  /** Password of that user. @env NATS_AUTH_PASSWORD */
  readonly natsPassword?: string;
  /** Token for NATS. @env NATS_AUTH_TOKEN */
  readonly natsToken?: string;
  /** Seed of an NKey for NATS. @env NATS_AUTH_NKEY */
  readonly natsNkey?: string;
  /** File with credentials for NATS. @env NATS_AUTH_CREDENTIALS_FILE */
  readonly natsCredentialsFile?: string;
  /** PEM file with authorities for `tls://`. @default those of the system @env NATS_TLS_CA_CERT_PATH */
  readonly natsTlsCaFile?: string;
  /** PEM file with the worker's certificate for `tls://`. @env NATS_TLS_CLIENT_CERT_PATH */
  readonly natsTlsCertFile?: string;
  /** PEM file with the key of that certificate. @env NATS_TLS_CLIENT_KEY_PATH */
  readonly natsTlsKeyFile?: string;
  /** Take any certificate of a `tls://` server. @default false @env NATS_TLS_INSECURE */
  readonly natsTlsInsecure?: boolean;
  /** How long a worker waits for NATS at its start. @unit seconds @default 120 @env NATS_STARTUP_CONNECT_TIMEOUT_SECONDS */
  readonly natsConnectTimeoutSeconds?: number;
  /** Keep published KV blocks, so that a router that missed some can ask for them. @default true @env STATOR_LOCAL_INDEXER */
  readonly localIndexer?: boolean;
  /** What frontends should encode requests with. @default "msgpack" @env DYN_REQUEST_PLANE_CODEC */
  readonly requestPlaneCodec?: "msgpack" | "json";
  /** IP address, wildcard or interface to listen on. @env DYN_TCP_RPC_HOST */
  readonly tcpRpcHost?: string;
  /** Port to listen on; 0 = any free port. @default 0 @env DYN_TCP_RPC_PORT */
  readonly tcpRpcPort?: number;
  /** Longest request frame. @unit bytes @default 33554432 @env DYN_TCP_MAX_MESSAGE_SIZE */
  readonly maxMessageBytes?: number;
  /** Time to reach a frontend with an answer. @unit seconds @default 5 @env STATOR_CONNECT_TIMEOUT_SECS */
  readonly connectTimeoutSeconds?: number;
  /**
   * How long a token may wait for the next ones of its answer while the worker is busy, so that they share a write; the
   * first token never waits.
   *
   * @unit milliseconds; 0 sends the tokens of each turn of the event loop at its end
   * @default 1
   * @env STATOR_COALESCE_MS
   */
  readonly coalesceMs?: number;
  /**
   * What happens when an engine breaks the stream contract: nothing, a warning once a stream, or the stream fails.
   *
   * @default "warn", or "throw" with `mem` discovery
   * @env STATOR_VALIDATE
   */
  readonly validate?: "off" | "warn" | "throw";
  /**
   * Longest time an answer may take, from when its request may run; then it fails as `ResponseTimeout`, which clients see
   * as 504, and the engine is aborted.
   *
   * @unit seconds; 0 = no limit
   * @default 0
   * @env STATOR_ENGINE_DEADLINE_SECS
   */
  readonly engineDeadlineSeconds?: number;
  /** Most requests in the engine. @env DYN_ENGINE_REQUEST_LIMIT */
  readonly engineRequestLimit?: number;
  /** Most requests that wait, when the engine's limit is set. @default 16 @env DYN_DYNAMO_REQUEST_QUEUE_LIMIT */
  readonly requestQueueLimit?: number;
  /** Most requests in the engine, when it has no limit. @default 10000 @env DYN_TCP_WORKER_POOL_SIZE */
  readonly workerPoolSize?: number;
  /** Most requests that wait, when the engine has no limit. @default 40000 @env DYN_TCP_WORK_QUEUE_SIZE */
  readonly workQueueSize?: number;
  /**
   * Keeps serving this long after leaving discovery, so routers stop choosing this worker first.
   *
   * @unit seconds; fractions allowed, negative counts as 0
   * @default 5, or 0 with `mem` discovery
   * @env DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS
   * @source dynamo-backend-common 1.6.1, `worker.rs`, `grace_period_secs`
   */
  readonly graceSeconds?: number;
  /** Time for the rest of the shutdown. @unit seconds @default 30 @env DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT */
  readonly shutdownTimeoutSeconds?: number;
  /** Longest wait for a prefill engine to become quiescent. @unit seconds @default 30 @env DYN_PREFILL_DRAIN_TIMEOUT_S */
  readonly prefillDrainTimeoutSeconds?: number;
  /** Port of health, metrics and model files; -1 = off, 0 = any free port. @default only for the built-in model @env DYN_SYSTEM_PORT */
  readonly systemPort?: number;
  /** Address of the system server. @default "0.0.0.0" @env DYN_SYSTEM_HOST */
  readonly systemHost?: string;
  /** Path of the readiness check. @default "/health" @env DYN_SYSTEM_HEALTH_PATH */
  readonly systemHealthPath?: string;
  /** Path of the liveness check. @default "/live" @env DYN_SYSTEM_LIVE_PATH */
  readonly systemLivePath?: string;
  /**
   * The liveness check answers 503 while the event loop has been blocked for longer; a thread beside it notices. Only
   * `serve` has that thread, while the system server is open, and it counts from when the worker is first ready.
   *
   * @unit seconds; 0 = no such thread
   * @default 30
   * @env STATOR_LIVENESS_LIMIT_SECS
   */
  readonly livenessLimitSeconds?: number;
  /**
   * The same thread ends the process, with code 4, when the event loop has been blocked for so long. It has left
   * discovery by then, since this has to be longer than its records live.
   *
   * @unit seconds; 0 = never
   * @default 60
   * @env STATOR_BLOCKED_EXIT_SECS
   */
  readonly blockedExitSeconds?: number;
  /** Send a small request when there are no others; not ready until one is answered. @default false @env DYN_HEALTH_CHECK_ENABLED */
  readonly healthCheckEnabled?: boolean;
  /** Time without activity before it is sent. @unit seconds, at least 0.1 @default 10 @env DYN_CANARY_WAIT_TIME */
  readonly canaryWaitSeconds?: number;
  /** Time its whole answer may take. @unit seconds @default 3 @env DYN_HEALTH_CHECK_REQUEST_TIMEOUT */
  readonly healthCheckTimeoutSeconds?: number;
  /** The request, as an object, as JSON text, or `@file`; replaces the engine's. @default as DYN_HEALTH_CHECK_PAYLOAD has it */
  readonly healthCheckPayload?: string | JsonObject;
  /** The same as text, when the option above is not set. @env DYN_HEALTH_CHECK_PAYLOAD */
  readonly healthCheckEnvPayload?: string;
  /** Built-in OpenAI-compatible gateway; opened by `serve` only. @default on with `mem` discovery, else off */
  readonly gateway?: boolean;
  /** Its port; 0 = any free port. Setting it turns the gateway on. @default 8000 @env STATOR_GATEWAY_PORT */
  readonly gatewayPort?: number;
  /** Its address to listen on. @default "127.0.0.1" @env STATOR_GATEWAY_HOST */
  readonly gatewayHost?: string;
  /**
   * Which log lines are shown: `level` for all, `target=level` for a target such as `stator::pipeline` and those below it,
   * joined by commas. Levels are `trace`, `debug`, `info`, `warn`, `error` and `off`; the longest target counts.
   *
   * @default "info"
   * @env DYN_LOG
   * @source dynamo-runtime 1.6.1, `logging.rs`; `RUST_LOG` is not read there either
   */
  readonly logFilter?: string;
  /** How log lines look: `readable` or `jsonl`. @default "readable", or "jsonl" with `logJsonl` @env DYN_LOGGING_CONSOLE_FORMAT */
  readonly logFormat?: string;
  /** Older spelling of the format `jsonl`; counts when `logFormat` is not set. @default false @env DYN_LOGGING_JSONL */
  readonly logJsonl?: boolean;
  /** Readable log lines show local time with its offset instead of UTC. @default false @env DYN_LOG_USE_LOCAL_TZ */
  readonly logLocalTime?: boolean;
  /** No colours in readable log lines, on a terminal either. @default false @env DYN_SDK_DISABLE_ANSI_LOGGING */
  readonly logPlain?: boolean;
  /**
   * Export traces over OTLP/HTTP, as the standard `OTEL_*` variables say. `serve` heeds it; whoever embeds a worker calls
   * `startOtel` of the entry `./otel`, or has a provider of its own.
   *
   * @default false
   * @env OTEL_EXPORT_ENABLED
   */
  readonly exportTraces?: boolean;
}

type Defaulted =
  | "namespace"
  | "component"
  | "endpoint"
  | "disaggregationMode"
  | "routeToEncoder"
  | "numWorkers"
  | "staggerDelaySeconds"
  | "endpointTypes"
  | "excludeToolsWhenToolChoiceNone"
  | "discoveryBackend"
  | "selfHostMetadata"
  | "requestPlane"
  | "responsePlane"
  | "disableKvRouting"
  | "zmqBrokerEnabled"
  | "etcdEndpoints"
  | "etcdLeaseTtlSeconds"
  | "etcdConnectTimeoutSeconds"
  | "etcdKeepAliveIntervalSeconds"
  | "etcdKeepAliveTimeoutSeconds"
  | "natsServer"
  | "natsTlsInsecure"
  | "natsConnectTimeoutSeconds"
  | "localIndexer"
  | "requestPlaneCodec"
  | "tcpRpcPort"
  | "maxMessageBytes"
  | "connectTimeoutSeconds"
  | "coalesceMs"
  | "validate"
  | "exportTraces"
  | "engineDeadlineSeconds"
  | "requestQueueLimit"
  | "workerPoolSize"
  | "workQueueSize"
  | "graceSeconds"
  | "shutdownTimeoutSeconds"
  | "prefillDrainTimeoutSeconds"
  | "systemHost"
  | "systemHealthPath"
  | "systemLivePath"
  | "livenessLimitSeconds"
  | "blockedExitSeconds"
  | "healthCheckEnabled"
  | "canaryWaitSeconds"
  | "healthCheckTimeoutSeconds"
  | "gatewayHost"
  | "logFilter";

/** Complete settings: every option with a default has a value. */
export type ResolvedWorkerOptions =
  & Omit<WorkerOptions, "structuralTag">
  & Required<Pick<WorkerOptions, Defaulted>>
  & { readonly structuralTag?: StructuralTag };
