/**
 * The catalogue: every metric's name, help, labels and buckets.
 *
 * @module
 */

const COMPONENT = "dynamo_component_";
const KV = `${COMPONENT}kv_publisher_`;
const HANDLER = "dynamo_work_handler_";
const OURS = "stator_";

// Labels stand in the order in which they are written: by name, `le` last.
const ENDPOINT = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "worker_id"];
const ERROR = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "error_type", "worker_id"];
const VIOLATION = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "kind", "worker_id"];
const TOPIC = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "topic", "worker_id"];
const CACHE = [
  "dp_rank",
  "dynamo_component",
  "dynamo_endpoint",
  "dynamo_namespace",
  "model",
  "model_name",
  "worker_id",
];
const WORKER = ["dynamo_component", "dynamo_namespace", "worker_id"];
const KV_REASON = ["dynamo_component", "dynamo_namespace", "event_type", "reason", "worker_id"];
const MODEL = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "model", "model_name", "worker_id"];

/**
 * One row for each metric: name, help, labels, and for a histogram its buckets.
 *
 * Metrics of our own, beyond Dynamo's, begin with `stator_`; `docs/metrics.md` has all of them.
 *
 * @source dynamo-runtime 1.6.1, `metrics/prometheus_names.rs`; dynamo-backend-common 1.6.1, `metrics.rs`
 */
export const CATALOGUE = {
  requests: row(`${COMPONENT}requests_total`, "Total number of requests processed by work handler", ENDPOINT),
  requestBytes: row(
    `${COMPONENT}request_bytes_total`,
    "Total number of bytes received in requests by work handler",
    ENDPOINT,
  ),
  responseBytes: row(
    `${COMPONENT}response_bytes_total`,
    "Total number of bytes sent in responses by work handler",
    ENDPOINT,
  ),
  cancellations: row(
    `${COMPONENT}cancellation_total`,
    "Total number of requests cancelled by work handler",
    ENDPOINT,
  ),
  errors: row(`${COMPONENT}errors_total`, "Total number of errors in work handler processing", ERROR),
  inflight: row(
    `${COMPONENT}inflight_requests`,
    "Number of requests currently being processed by work handler",
    ENDPOINT,
  ),
  duration: row(
    `${COMPONENT}request_duration_seconds`,
    "Time spent processing requests by work handler",
    ENDPOINT,
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600],
  ),
  uptime: row(`${COMPONENT}uptime_seconds`, "Total uptime of the DistributedRuntime in seconds", ["worker_id"]),
  modelLoadTime: row(
    `${COMPONENT}model_load_time_seconds`,
    "Time engine.start() took to return. Set once at Worker setup.",
    MODEL,
  ),
  drainTime: row(
    `${COMPONENT}drain_time_seconds`,
    "Time spent draining in-flight work before cleanup. Stays at 0 for engines without a drain hook.",
    MODEL,
  ),
  cleanupTime: row(
    `${COMPONENT}cleanup_time_seconds`,
    "Time spent releasing engine resources during shutdown. Set by the framework once after engine.cleanup() returns.",
    MODEL,
  ),
  totalBlocks: row(`${COMPONENT}total_blocks`, "Total number of KV cache blocks available on the worker.", CACHE),
  gpuCacheUsage: row(`${COMPONENT}gpu_cache_usage_percent`, "GPU cache usage as a percentage (0.0-1.0).", CACHE),
  kvCacheHitRate: row(
    `${COMPONENT}kv_cache_hit_rate`,
    "Prefix cache hit rate (0.0-1.0). Portable across engines.",
    CACHE,
  ),
  kvEngineDropped: row(
    `${KV}engines_dropped_events_total`,
    "Total number of raw events dropped by engines before reaching publisher (detected via event_id gaps)",
    WORKER,
  ),
  kvZmqEvents: row(`${KV}zmq_events_total`, "Total number of ZMQ KV events seen by the relay", [
    ...["dynamo_component", "dynamo_namespace", "event_type", "stage", "worker_id"],
  ]),
  kvZmqFiltered: row(
    `${KV}zmq_filtered_events_total`,
    "Total number of ZMQ KV events filtered before conversion",
    KV_REASON,
  ),
  kvZmqUnusable: row(
    `${KV}zmq_conversion_issues_total`,
    "Total number of ZMQ KV events dropped due to conversion issues",
    KV_REASON,
  ),
  kvZmqEmpty: row(
    `${KV}zmq_suspicious_events_total`,
    "Total number of suspicious-but-forwarded ZMQ KV events",
    KV_REASON,
  ),
  engineRequests: row(
    "dynamo_engine_request",
    "Current number of requests being handled by the engine (--engine-request-limit)",
  ),
  requestQueue: row(
    "dynamo_request_queue",
    "Current number of requests queued in Dynamo not yet in the engine (--dynamo-request-queue-limit)",
  ),
  rejections: row(
    "dynamo_rejection_request_total",
    "Requests rejected because the worker is at capacity (engine in-flight limit and Dynamo queue both full)",
  ),
  transit: row(
    `${HANDLER}network_transit_seconds`,
    "Frontend-to-backend network transit time (cross-process wall-clock, seconds)",
    [],
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  ),
  firstResponse: row(
    `${HANDLER}time_to_first_response_seconds`,
    "Backend processing time from handle_payload entry to prologue sent (seconds)",
    [],
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  ),
  permitWait: row(
    `${HANDLER}permit_wait_seconds`,
    "Time spent waiting for a worker-pool permit (seconds)",
    [],
    [0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
  ),
  queueDepth: row(`${HANDLER}queue_depth`, "Current items in the bounded work queue awaiting dispatcher pickup"),
  queueCapacity: row(`${HANDLER}queue_capacity`, "Configured capacity of the bounded work queue"),
  activeTasks: row(
    `${HANDLER}pool_active_tasks`,
    "Current number of active worker-pool tasks (permits in use)",
  ),
  poolCapacity: row(`${HANDLER}pool_capacity`, "Configured worker-pool capacity (total permits)"),
  // Stays 0: nothing stands between a connection and admission that could be closed. Dashboards ask for it.
  enqueueRejections: row(
    `${HANDLER}enqueue_rejected_total`,
    "Times enqueuing work failed because the dispatcher channel was closed",
  ),
  abortsIgnored: row(
    `${OURS}engine_abort_ignored_total`,
    "Streams detached because the engine did not react to an abort in time",
    ENDPOINT,
  ),
  deadlinesExceeded: row(
    `${OURS}engine_deadline_exceeded_total`,
    "Requests ended because the engine took longer than its deadline",
    ENDPOINT,
  ),
  violations: row(
    `${OURS}stream_contract_violations_total`,
    "Breaches of the stream contract by the engine, each kind once a stream (--validate warn)",
    VIOLATION,
  ),
  eventsPublished: row(`${OURS}event_messages_published_total`, "Messages published on the event plane", TOPIC),
  eventsDropped: row(
    `${OURS}event_messages_dropped_total`,
    "Copies of messages that a subscriber or a broker was too slow for, or gone, or that were too long",
    TOPIC,
  ),
  subscribersCut: row(
    `${OURS}event_subscribers_cut_total`,
    "Subscribers disconnected because they did not read fast enough",
    TOPIC,
  ),
  eventBytesWaiting: row(
    `${OURS}event_waiting_bytes`,
    "Bytes that wait for subscribers, brokers or NATS to take them",
    TOPIC,
  ),
  sourceFailures: row(
    `${OURS}metrics_source_failures_total`,
    "Scrapes of /metrics that had to leave out a metrics source of the engine",
    ["reason", "source", "worker_id"],
  ),
  kvBatchesDropped: row(
    `${OURS}kv_engine_batches_dropped_total`,
    "Batches of an engine's KV events that were dropped whole",
    ["dynamo_component", "dynamo_namespace", "reason", "worker_id"],
  ),
  buildInfo: row(`${OURS}build_info`, "Version of the worker framework and its runtime; always 1", [
    "runtime",
    "version",
  ]),
} satisfies Record<string, Row>;

/** What is fixed about a metric. */
export interface Row {
  /** Name of the family. */
  readonly name: string;
  /** Help. */
  readonly help: string;
  /** Labels, sorted. */
  readonly labelNames: string[];
  /** Upper bounds of a histogram; empty for everything else. */
  readonly buckets: number[];
}

const SERIES: ReadonlySet<string> = new Set(
  Object.values<Row>(CATALOGUE).flatMap(({ name, buckets }) =>
    buckets.length === 0 ? [name] : [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]
  ),
);

/** Whether a family or a sample of that name is the worker's own, shown at the moment or not. */
export function isOwnSeries(name: string): boolean {
  return SERIES.has(name);
}

function row(name: string, help: string, labelNames: string[] = [], buckets: number[] = []): Row {
  return { name, help, labelNames, buckets };
}
