/**
 * The metrics of a worker, under the names and labels of Dynamo's own workers.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type EndpointName, endpointPath, hexId } from "../protocol/record.ts";
import { createEndpointFamilies, type EndpointMetrics } from "./endpoint_metrics.ts";
import { createKvEventFamilies, type KvEventMetrics } from "./kv_event_metrics.ts";
import { CATALOGUE, type Row } from "./metric_catalogue.ts";
import { endpointLabels, modelLabels, type ModelName } from "./metric_labels.ts";

export type { EndpointMetrics, ErrorType } from "./endpoint_metrics.ts";

/** Settings of {@linkcode createMetrics}. */
export interface MetricsOptions {
  /** The worker. */
  readonly instanceId: bigint;
  /** Monotonic time. @unit milliseconds */
  readonly now: () => number;
  /** What runs; without it there is no `stator_build_info`. */
  readonly build?: { readonly version: string; readonly runtime: string };
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

/** Sets the gauges of a rank's cache. */
export type CacheGauges = (dpRank: number, state: CacheState) => void;

/** The state of a cache. */
export interface CacheState {
  /** Blocks there are. */
  readonly kvTotalBlocks: number;
  /** Share of the cache in use, from 0 to 1. */
  readonly gpuCacheUsage: number;
  /** Share of blocks found in the cache; `null` leaves the gauge alone. */
  readonly kvCacheHitRate?: number | null;
}

/** What became of the messages of a topic, since the worker began. */
export interface EventFigures {
  /** Messages published. */
  readonly published: number;
  /** Copies of messages that will not arrive. */
  readonly dropped: number;
  /** Subscribers cut for being slow. */
  readonly cut: number;
  /** Bytes that wait for subscribers at the moment. @unit bytes */
  readonly waitingBytes: number;
}

/** All metrics of one worker. */
export interface Metrics {
  /** Metrics of one endpoint's requests; the same object for the same endpoint. */
  endpoint(name: EndpointName): EndpointMetrics;
  /** Lifecycle gauges, labelled with the served model; there from this call on. */
  lifecycle(name: EndpointName, model: ModelName): LifecycleMetrics;
  /** Gauges of an engine's cache; those of the ranks named are there from this call on. */
  cache(name: EndpointName, model: ModelName, ranks: readonly number[]): CacheGauges;
  /** Counts of KV events; there from this call on. */
  kvEvents(name: EndpointName): KvEventMetrics;
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
  /** Figures of the topics that the worker publishes, to read at each scrape; each count must only grow. */
  bindEvents(name: EndpointName, read: () => ReadonlyMap<string, EventFigures>): void;
  /** A source of {@linkcode append} was left out of a scrape. */
  sourceFailed(source: string, reason: string): void;
  /** Families to show after the worker's own, asked for at each scrape; must not fail, and must bear none of its names. */
  append(text: () => Promise<string>): void;
  /** The exposition. Before the first {@linkcode endpoint} it says only what is running and since when. */
  text(): Promise<string>;
  /** Media type of the exposition. */
  readonly contentType: string;
}

/** Makes the metrics of one worker, in a registry of its own; uptime counts from here. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { instanceId } = options;
  const registry = new Registry();
  const registers = [registry];
  const counter = ({ buckets: _, ...config }: Row): Counter => new Counter({ ...config, registers });
  const gauge = ({ buckets: _, ...config }: Row): Gauge => new Gauge({ ...config, registers });
  const histogram = (config: Row): Histogram => new Histogram({ ...config, registers });

  const endpointFamilies = createEndpointFamilies(registry);
  const kvEvents = createKvEventFamilies(registry);
  const uptime = gauge(CATALOGUE.uptime);
  const modelLoadTime = gauge(CATALOGUE.modelLoadTime);
  const drainTime = gauge(CATALOGUE.drainTime);
  const cleanupTime = gauge(CATALOGUE.cleanupTime);
  const totalBlocks = gauge(CATALOGUE.totalBlocks);
  const gpuCacheUsage = gauge(CATALOGUE.gpuCacheUsage);
  const hitRates = gauge(CATALOGUE.kvCacheHitRate);
  const rejections = counter(CATALOGUE.rejections);
  const transit = histogram(CATALOGUE.transit);
  const firstResponse = histogram(CATALOGUE.firstResponse);
  const permitWait = histogram(CATALOGUE.permitWait);
  const events = {
    published: counter(CATALOGUE.eventsPublished),
    dropped: counter(CATALOGUE.eventsDropped),
    cut: counter(CATALOGUE.subscribersCut),
  };
  const waitingBytes = gauge(CATALOGUE.eventBytesWaiting);
  const sourceFailures = counter(CATALOGUE.sourceFailures);
  counter(CATALOGUE.enqueueRejections);
  const admissionGauges = {
    active: gauge(CATALOGUE.activeTasks),
    queued: gauge(CATALOGUE.queueDepth),
    capacity: gauge(CATALOGUE.poolCapacity),
    queueCapacity: gauge(CATALOGUE.queueCapacity),
    engineRequests: gauge(CATALOGUE.engineRequests),
    requestQueue: gauge(CATALOGUE.requestQueue),
  };
  if (options.build !== undefined) {
    gauge(CATALOGUE.buildInfo).set({ runtime: options.build.runtime, version: options.build.version }, 1);
  }

  const createdAt = options.now();
  const worker_id = hexId(instanceId);
  const endpoints = new Map<string, EndpointMetrics>();
  const appended: (() => Promise<string>)[] = [];
  const atScrape: (() => void)[] = [
    () => uptime.set({ worker_id }, (options.now() - createdAt) / 1000),
    endpointFamilies.update,
  ];

  /** Families without labels have a value from the first moment on, which means nothing before there is an endpoint. */
  const isShown = (name: string): boolean => endpoints.size > 0 || !UNLABELLED.has(name);

  return {
    contentType: registry.contentType,
    endpoint(name) {
      const path = endpointPath(name);
      const metrics = endpoints.get(path) ?? endpointFamilies.create(endpointLabels(instanceId, name));
      endpoints.set(path, metrics);
      return metrics;
    },
    lifecycle(name, model) {
      const labels = { ...modelLabels(instanceId, name, model) };
      const [load, drain, cleanup] = [modelLoadTime, drainTime, cleanupTime].map((each) => each.labels(labels));
      for (const each of [load, drain, cleanup]) each?.set(0);
      return {
        modelLoadTime: (seconds) => load?.set(seconds),
        drainTime: (seconds) => drain?.set(seconds),
        cleanupTime: (seconds) => cleanup?.set(seconds),
      };
    },
    cache(name, model, ranks) {
      const labels = modelLabels(instanceId, name, model);
      const shown = new Map<
        number,
        { readonly total: number; readonly usage: number; readonly hitRate: number | null }
      >();
      const set: CacheGauges = (dpRank, { kvTotalBlocks: total, gpuCacheUsage: usage, kvCacheHitRate }) => {
        const last = shown.get(dpRank);
        const hitRate = kvCacheHitRate ?? last?.hitRate ?? null;
        // An engine tells its state after every pass, and most passes change nothing of it.
        if (last?.total === total && last.usage === usage && last.hitRate === hitRate) return;
        const ranked = { dp_rank: String(dpRank), ...labels };
        totalBlocks.set(ranked, total);
        gpuCacheUsage.set(ranked, usage);
        if (hitRate !== null) hitRates.set(ranked, hitRate);
        shown.set(dpRank, { total, usage, hitRate });
      };
      for (const rank of ranks) set(rank, { kvTotalBlocks: 0, gpuCacheUsage: 0 });
      return set;
    },
    kvEvents: (name) => kvEvents(instanceId, name),
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
    bindEvents(name, read) {
      const { worker_id, ...rest } = endpointLabels(instanceId, name);
      const known = new Map<string, EventFigures>();
      atScrape.push(() => {
        for (const [topic, figures] of read()) {
          const labels = { ...rest, topic, worker_id };
          for (const [key, each] of Object.entries(events) as [keyof typeof events, Counter][]) {
            each.inc(labels, figures[key] - (known.get(topic)?.[key] ?? 0));
          }
          waitingBytes.set(labels, figures.waitingBytes);
          known.set(topic, figures);
        }
      });
    },
    sourceFailed: (source, reason) => sourceFailures.inc({ reason, source, worker_id }),
    append: (text) => void appended.push(text),
    async text() {
      // First, since what goes wrong with them is counted in the worker's own.
      const rest = await Promise.all(appended.map((text) => text()));
      for (const update of atScrape) update();
      const names = registry.getMetricsAsArray().map((metric) => metric.name).filter(isShown).sort();
      const families = await Promise.all(names.map((name) => registry.getSingleMetricAsString(name)));
      return families.filter(hasSamples).map((family) => `${lastLe(family)}\n`).join("") + rest.join("");
    },
  };
}

const UNLABELLED: ReadonlySet<string> = new Set(
  Object.values<Row>(CATALOGUE).filter((row) => row.labelNames.length === 0).map((row) => row.name),
);

/** A family of which nothing has happened yet is not written, not even its help. */
function hasSamples(family: string): boolean {
  return /^[^#]/m.test(family);
}

/** Moves `le` behind the other labels, where Dynamo's workers write it; the library puts it first. */
function lastLe(family: string): string {
  return family.replace(/^(\w+_bucket)\{(le="[^"]*"),(.*)\} (\S+)$/gm, "$1{$3,$2} $4");
}
