/**
 * Metrics that an engine brings along.
 *
 * @module
 */

/** What a prom-client `Registry` looks like from here; anything else that has its text will do. */
export interface MetricsRegistry {
  /** The exposition as it is now, in Prometheus' or OpenMetrics' text format. */
  metrics(): string | Promise<string>;
}

/**
 * Metrics of the engine's own, shown in the worker's `/metrics`.
 *
 * A source that throws, takes longer than 2 seconds or returns no exposition is left out of that scrape, and counted in
 * `stator_metrics_source_failures_total`. So are families whose names the worker has itself, such as
 * `dynamo_component_requests_total`. A family that several sources have is shown once, with the samples of all.
 *
 * @example A registry, and the metrics of a process beside this one
 * ```ts no-run
 * import type { MetricsSource } from "@stator/worker";
 * import { Gauge, Registry } from "prom-client";
 *
 * const registry = new Registry();
 * new Gauge({ name: "vllm:num_requests_running", help: "Requests running", registers: [registry] }).set(0);
 *
 * const sources: MetricsSource[] = [
 *   { registry },
 *   {
 *     expfmt: async () => await (await fetch("http://127.0.0.1:8000/metrics")).text(),
 *     prefixFilters: ["lmcache:"],
 *     autoLabels: true,
 *   },
 * ];
 * ```
 * @source dynamo-common 1.6.1, `backend/metrics.py`, `register_engine_registry`
 */
export interface MetricsSource {
  /** Where the metrics are; this or `expfmt`. */
  readonly registry?: MetricsRegistry;
  /** Returns an exposition; this or `registry`. */
  readonly expfmt?: () => string | Promise<string>;
  /** What log lines call the source. @default its place in the list, from 0 */
  readonly name?: string;
  /** Only samples whose names begin with one of these, such as `vllm:`, are shown. @default all */
  readonly prefixFilters?: readonly string[];
  /** Samples whose names begin with one of these are not, such as `process_`. @default none */
  readonly excludePrefixes?: readonly string[];
  /**
   * Whether samples get the worker's labels: `dynamo_namespace`, `dynamo_component`, `dynamo_endpoint`, `worker_id`,
   * `model` and `model_name`. A sample's own label of the same name stays.
   *
   * @default true for a registry, false for `expfmt`
   */
  readonly autoLabels?: boolean;
  /** Further labels for every sample; the worker's and the sample's own go before them. Never `le` or `quantile`. */
  readonly labels?: Readonly<Record<string, string>>;
}
