/**
 * The engine's metrics on their way to the worker's `/metrics`.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { MetricsSource } from "../engine/metrics_source.ts";
import type { Log } from "../observe/log.ts";
import { isOwnSeries } from "../observe/metric_catalogue.ts";
import { modelLabels, type ModelName } from "../observe/metric_labels.ts";
import type { Metrics } from "../observe/metrics.ts";
import { type ExpositionSource, MetricsBridge } from "../observe/metrics_bridge.ts";
import type { Clock } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { EndpointName } from "../protocol/record.ts";

/** Settings of {@linkcode bridgeMetrics}. */
export interface MetricsSourcesParts {
  /** Where they are shown. */
  readonly metrics: Metrics;
  /** The worker. */
  readonly instanceId: bigint;
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** The served model. */
  readonly model: ModelName;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
}

type Labels = Readonly<Record<string, string>>;

/** Labels that tell the samples of one family apart. */
const RESERVED = ["le", "quantile"];
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * Asks the engine for its sources and shows them from now on.
 *
 * @throws {DynamoError} `EngineShutdown` if the engine cannot tell, `InvalidArgument` if a source makes no sense.
 */
export function bridgeMetrics(engine: Engine, parts: MetricsSourcesParts): void {
  if (engine.metricsSources === undefined) return;
  const { metrics, instanceId, name, model, clock, log } = parts;
  const auto = { ...modelLabels(instanceId, name, model) };
  const sources = ask(engine).map((source, index) => resolve(source, index, auto, log));
  if (sources.length === 0) return;
  const failed = metrics.sourceFailed;
  const bridge = new MetricsBridge({ sources, clock, log, isTaken: isOwnSeries, failed });
  metrics.append(() => bridge.text());
}

function ask(engine: Engine): readonly MetricsSource[] {
  let sources: unknown;
  try {
    sources = engine.metricsSources!();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DynamoError("EngineShutdown", `engine.metricsSources() failed: ${message}`, { cause });
  }
  if (!Array.isArray(sources)) throw new DynamoError("InvalidArgument", "engine.metricsSources() returned no array");
  return sources;
}

function resolve(source: MetricsSource, index: number, auto: Labels, log: Log): ExpositionSource {
  const name = source?.name ?? String(index);
  const { registry, expfmt, prefixFilters, excludePrefixes, labels = {} } = source ?? {};
  const scrape = typeof registry?.metrics === "function" ? () => registry.metrics() : expfmt;
  if (typeof scrape !== "function" || (registry !== undefined && expfmt !== undefined)) {
    throw unusable(name, "give it either a registry, which has a method metrics(), or expfmt, a function");
  }
  for (const label of Object.keys(labels)) {
    if (RESERVED.includes(label)) throw unusable(name, `the label ${label} belongs to the samples themselves`);
    if (!LABEL_NAME.test(label)) throw unusable(name, `${JSON.stringify(label)} is no name of a label`);
  }
  const added = source.autoLabels ?? registry !== undefined ? auto : {};
  const ignored = Object.keys(labels).filter((label) => label in added);
  if (ignored.length > 0) log.warn("Ignoring labels that the worker sets itself", { source: name, labels: ignored });
  return {
    name,
    scrape,
    labels: { ...labels, ...added },
    ...(prefixFilters === undefined ? {} : { prefixes: prefixFilters }),
    ...(excludePrefixes === undefined ? {} : { exclude: excludePrefixes }),
  };
}

function unusable(source: string, problem: string): DynamoError {
  return new DynamoError("InvalidArgument", `Cannot show the engine's metrics source ${source}: ${problem}`);
}
