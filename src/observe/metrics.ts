/**
 * The metrics of a worker, under the names and labels of Dynamo's own workers.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type EndpointName, endpointPath, hexId } from "../protocol/record.ts";

/** Settings of {@linkcode createMetrics}. */
export interface MetricsOptions {
  /** The worker. */
  readonly instanceId: bigint;
  /** Monotonic time. @unit milliseconds */
  readonly now: () => number;
}

/** Where a request went wrong; the values of the label `error_type`. */
export type ErrorType =
  | "deserialization"
  | "invalid_message"
  | "response_stream"
  | "generate"
  | "serialization"
  | "publish_response"
  | "publish_final";

/** Metrics of one endpoint's requests. */
export interface EndpointMetrics {
  /** A request was taken in. @param bytes Length of its body. */
  received(bytes: number): void;
  /** Its answer has ended, well or not. @param seconds Since it was received. @param responseBytes All that was sent. */
  finished(seconds: number, responseBytes: number): void;
  /** A frontend gave a request up. */
  cancelled(): void;
  /** A request went wrong. */
  failed(type: ErrorType): void;
  /** Requests received and not yet finished. */
  readonly inflight: number;
}

/** How long the steps of a worker's life took. Each gauge is 0 until it is set. @unit seconds */
export interface LifecycleMetrics {
  /** `engine.start()` returned. */
  modelLoadTime(seconds: number): void;
  /** The drain stage is over. */
  drainTime(seconds: number): void;
  /** `engine.cleanup()` returned. */
  cleanupTime(seconds: number): void;
}

/** What admission knows at a moment. */
export interface AdmissionGauges {
  /** Requests that hold a permit. */
  readonly active: number;
  /** Requests that wait for a permit. */
  readonly queued: number;
  /** Permits. */
  readonly capacity: number;
  /** Places to wait. */
  readonly queueCapacity: number;
  /** Requests in the engine. */
  readonly engineRequests: number;
  /** Requests in Dynamo's queue before the engine. */
  readonly requestQueue: number;
}

/** All metrics of one worker. */
export interface Metrics {
  /** Metrics of one endpoint's requests; the same object for the same endpoint. */
  endpoint(name: EndpointName): EndpointMetrics;
  /** Lifecycle gauges, labelled with the served model; there from this call on. */
  lifecycle(name: EndpointName, model: string): LifecycleMetrics;
  /** Time from the frontend's send to our receipt, by wall clock. */
  transit(seconds: number): void;
  /** Time from receipt to the prologue. */
  firstResponse(seconds: number): void;
  /** Time a request waited for a permit. */
  permitWait(seconds: number): void;
  /** A request was refused because both the engine and the queue are full. */
  rejected(): void;
  /** Gauges to read at each scrape. */
  bindAdmission(read: () => AdmissionGauges): void;
  /** The exposition. */
  text(): Promise<string>;
  /** Media type of the exposition. */
  readonly contentType: string;
}

const COMPONENT = "dynamo_component_";
const HANDLER = "dynamo_work_handler_";

// Labels stand in the order in which they are written: by name, `le` last.
const ENDPOINT = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "worker_id"];
const ERROR = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "error_type", "worker_id"];
const MODEL = ["dynamo_component", "dynamo_endpoint", "dynamo_namespace", "model", "model_name", "worker_id"];

/**
 * One row for each metric: name, help, labels, and for a histogram its buckets.
 *
 * Not there yet, with the KV events they describe: `dynamo_component_kv_publisher_engines_dropped_events_total`,
 * `dynamo_component_total_blocks`, `dynamo_component_gpu_cache_usage_percent`, `dynamo_component_kv_cache_hit_rate`.
 * Metrics of our own, beyond Dynamo's, begin with `stator_`.
 *
 * @source dynamo-runtime 1.6.1, `metrics/prometheus_names.rs`; dynamo-backend-common 1.6.1, `metrics.rs`
 */
const CATALOGUE = {
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
};

interface Row {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly buckets: number[];
}

function row(name: string, help: string, labelNames: string[] = [], buckets: number[] = []): Row {
  return { name, help, labelNames, buckets };
}

/** Makes the metrics of one worker, in a registry of its own; uptime counts from here. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = ({ buckets: _, ...config }: Row): Counter => new Counter({ ...config, registers });
  const gauge = ({ buckets: _, ...config }: Row): Gauge => new Gauge({ ...config, registers });
  const histogram = (config: Row): Histogram => new Histogram({ ...config, registers });

  const requests = counter(CATALOGUE.requests);
  const requestBytes = counter(CATALOGUE.requestBytes);
  const responseBytes = counter(CATALOGUE.responseBytes);
  const cancellations = counter(CATALOGUE.cancellations);
  const errors = counter(CATALOGUE.errors);
  const inflight = gauge(CATALOGUE.inflight);
  const duration = histogram(CATALOGUE.duration);
  const uptime = gauge(CATALOGUE.uptime);
  const modelLoadTime = gauge(CATALOGUE.modelLoadTime);
  const drainTime = gauge(CATALOGUE.drainTime);
  const cleanupTime = gauge(CATALOGUE.cleanupTime);
  const rejections = counter(CATALOGUE.rejections);
  const transit = histogram(CATALOGUE.transit);
  const firstResponse = histogram(CATALOGUE.firstResponse);
  const permitWait = histogram(CATALOGUE.permitWait);
  counter(CATALOGUE.enqueueRejections);
  const admissionGauges = {
    active: gauge(CATALOGUE.activeTasks),
    queued: gauge(CATALOGUE.queueDepth),
    capacity: gauge(CATALOGUE.poolCapacity),
    queueCapacity: gauge(CATALOGUE.queueCapacity),
    engineRequests: gauge(CATALOGUE.engineRequests),
    requestQueue: gauge(CATALOGUE.requestQueue),
  };

  const createdAt = options.now();
  const worker_id = hexId(options.instanceId);
  const endpoints = new Map<string, EndpointMetrics>();
  const atScrape: (() => void)[] = [
    () => uptime.set({ worker_id }, (options.now() - createdAt) / 1000),
  ];

  function createEndpoint(name: EndpointName): EndpointMetrics {
    const labels = { ...endpointLabels(name), worker_id };
    const bound = {
      requests: requests.labels(labels),
      requestBytes: requestBytes.labels(labels),
      responseBytes: responseBytes.labels(labels),
      cancellations: cancellations.labels(labels),
      inflight: inflight.labels(labels),
      duration: duration.labels(labels),
    };
    for (const each of [bound.requests, bound.requestBytes, bound.responseBytes, bound.cancellations]) each.inc(0);
    duration.zero(labels);
    const errorsByType = new Map<ErrorType, { inc(): void }>();
    let running = 0;
    atScrape.push(() => bound.inflight.set(running));
    return {
      received(bytes) {
        running++;
        bound.requests.inc();
        bound.requestBytes.inc(bytes);
      },
      finished(seconds, bytes) {
        running--;
        bound.duration.observe(seconds);
        bound.responseBytes.inc(bytes);
      },
      cancelled: () => bound.cancellations.inc(),
      failed(type) {
        const error = errorsByType.get(type) ??
          errors.labels({ ...endpointLabels(name), error_type: type, worker_id });
        errorsByType.set(type, error);
        error.inc();
      },
      get inflight() {
        return running;
      },
    };
  }

  return {
    contentType: registry.contentType,
    endpoint(name) {
      const metrics = endpoints.get(endpointPath(name)) ?? createEndpoint(name);
      endpoints.set(endpointPath(name), metrics);
      return metrics;
    },
    lifecycle(name, model) {
      const labels = { ...endpointLabels(name), model, model_name: model, worker_id };
      const [load, drain, cleanup] = [modelLoadTime, drainTime, cleanupTime].map((each) => each.labels(labels));
      for (const each of [load, drain, cleanup]) each?.set(0);
      return {
        modelLoadTime: (seconds) => load?.set(seconds),
        drainTime: (seconds) => drain?.set(seconds),
        cleanupTime: (seconds) => cleanup?.set(seconds),
      };
    },
    transit: (seconds) => transit.observe(seconds),
    firstResponse: (seconds) => firstResponse.observe(seconds),
    permitWait: (seconds) => permitWait.observe(seconds),
    rejected: () => rejections.inc(),
    bindAdmission(read) {
      atScrape.push(() => {
        const values = read();
        for (const [name, each] of Object.entries(admissionGauges)) each.set(values[name as keyof AdmissionGauges]);
      });
    },
    async text() {
      for (const update of atScrape) update();
      const names = registry.getMetricsAsArray().map((metric) => metric.name).sort();
      const families = await Promise.all(names.map((name) => registry.getSingleMetricAsString(name)));
      return families.filter(hasSamples).map((family) => `${lastLe(family)}\n`).join("");
    },
  };
}

function endpointLabels(
  name: EndpointName,
): { readonly dynamo_component: string; readonly dynamo_endpoint: string; readonly dynamo_namespace: string } {
  return { dynamo_component: name.component, dynamo_endpoint: name.endpoint, dynamo_namespace: name.namespace };
}

/** A family of which nothing has happened yet is not written, not even its help. */
function hasSamples(family: string): boolean {
  return /^[^#]/m.test(family);
}

/** Moves `le` behind the other labels, where Dynamo's workers write it; the library puts it first. */
function lastLe(family: string): string {
  return family.replace(/^(\w+_bucket)\{(le="[^"]*"),(.*)\} (\S+)$/gm, "$1{$3,$2} $4");
}
