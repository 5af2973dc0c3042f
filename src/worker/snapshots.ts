/**
 * The state of an engine's cache, as gauges and to frontends.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { ComponentSnapshot, SnapshotPublisher } from "../engine/kv_source.ts";
import type { EventPlane } from "../event_plane/event_plane.ts";
import { LoadReport } from "../kv/load_report.ts";
import type { ModelName } from "../observe/metric_labels.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Clock } from "../platform/platform.ts";
import { invalidArgument } from "../protocol/error.ts";
import { KV_METRICS_TOPIC } from "../protocol/event.ts";
import type { EndpointName } from "../protocol/record.ts";
import type { Planes } from "./backends.ts";
import { callHook } from "./engine_hook.ts";
import { announceChannel, endpointScope } from "./event_records.ts";

/** What snapshots are published with. */
export interface SnapshotParts {
  /** How they reach frontends; `null` shows them as gauges only. */
  readonly events: EventPlane | null;
  /** Records. */
  readonly planes: Planes;
  /** Gauges. */
  readonly metrics: Metrics;
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** The served model. */
  readonly model: ModelName;
  /** Time. */
  readonly clock: Clock;
}

/** How long a rank's newest state waits for a newer one. @unit milliseconds @source dynamo-llm 1.6.1, metrics publisher */
const DEBOUNCE_MS = 1;

/**
 * Hands the engine the way to report its cache, if it wants one. Disposing what is returned ends it.
 *
 * @throws {DynamoError} If the engine cannot tell its ranks, or cannot take the publisher.
 * @source dynamo-backend-common 1.6.1, `component_metrics_dp_ranks`, `attach_snapshot_publisher`
 */
export async function openSnapshots(engine: Engine, parts: SnapshotParts): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  if (engine.componentMetricsDpRanks === undefined && engine.attachSnapshotPublisher === undefined) return undo.move();
  const { metrics, name, model } = parts;
  const ranks = callHook("componentMetricsDpRanks", () => engine.componentMetricsDpRanks?.() ?? []);
  if (!Array.isArray(ranks) || ranks.some((rank) => !Number.isInteger(rank) || rank < 0)) {
    throw invalidArgument(`engine.componentMetricsDpRanks() has to return ranks, not ${JSON.stringify(ranks)}`);
  }
  const gauges = metrics.cache(name, model, ranks);
  const report = undo.adopt(await openReport(ranks, parts), (opened) => opened?.[Symbol.asyncDispose]());
  const publisher: SnapshotPublisher = {
    publish(dpRank, snapshot) {
      gauges(dpRank, snapshot);
      report?.tell(dpRank, snapshot);
    },
  };
  callHook("attachSnapshotPublisher", () => engine.attachSnapshotPublisher?.(publisher));
  return undo.move();
}

interface Report extends AsyncDisposable {
  tell(dpRank: number, snapshot: ComponentSnapshot): void;
}

async function openReport(
  ranks: readonly number[],
  { events, planes, name, clock }: SnapshotParts,
): Promise<Report | null> {
  if (events === null || ranks.length === 0) return null;
  await using undo = new AsyncDisposableStack();
  const publisher = undo.use(await events.publisher(endpointScope(name), KV_METRICS_TOPIC));
  undo.use(await announceChannel(planes.discovery, publisher));
  const load = new LoadReport(planes.discovery.instanceId);
  const waiting = new Map<number, number>();
  let timer: Disposable | null = null;
  const flush = (): void => {
    timer?.[Symbol.dispose]();
    timer = null;
    for (const [rank, used] of waiting) {
      const payload = load.tell(rank, used);
      if (payload !== null) publisher.publish(payload);
    }
    waiting.clear();
  };
  undo.defer(flush);
  const opened = undo.move();
  return {
    tell(dpRank, { kvUsedBlocks }) {
      if (!ranks.includes(dpRank)) return;
      if (!waiting.has(dpRank) && load.knows(dpRank, kvUsedBlocks)) return;
      waiting.set(dpRank, kvUsedBlocks);
      timer ??= clock.timer(DEBOUNCE_MS, flush);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
