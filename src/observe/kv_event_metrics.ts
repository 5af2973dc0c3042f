/**
 * What happens to the KV events of an engine, counted under the names of Dynamo's publisher.
 *
 * @module
 */
import { Counter, type Registry } from "prom-client";
import { type EndpointName, hexId } from "../protocol/record.ts";
import { CATALOGUE, type Row } from "./metric_catalogue.ts";

/** Kinds of an engine's events, and the values of the label `event_type`. */
const EVENT_TYPES = {
  BlockStored: "stored",
  BlockRemoved: "removed",
  AllBlocksCleared: "cleared",
  Ignored: "ignored",
} as const;

/** Kind of an engine's event. */
export type EngineEventType = keyof typeof EVENT_TYPES;

/** Counts of a worker's KV events. */
export interface KvEventMetrics {
  /** What an engine made did not come. @param count How much of it. */
  engineDropped(count: number): void;
  /** A batch of an engine's socket was dropped whole. */
  batchDropped(reason: "unreadable" | "foreign_rank"): void;
  /** An event of an engine's socket came, or passed the filters. */
  zmqEvent(stage: "received" | "accepted", type: EngineEventType): void;
  /** Routers should not know of an event. */
  zmqFiltered(type: EngineEventType, reason: string): void;
  /** An event passed the filters and makes no sense. */
  zmqUnusable(type: EngineEventType): void;
  /** A stored event goes on without blocks. */
  zmqEmpty(type: EngineEventType): void;
}

/** Makes the counts of workers, in families that they share. */
export type CreateKvEventMetrics = (instanceId: bigint, name: EndpointName) => KvEventMetrics;

/** Registers the families. */
export function createKvEventFamilies(registry: Registry): CreateKvEventMetrics {
  const registers = [registry];
  const counter = ({ buckets: _, ...config }: Row): Counter => new Counter({ ...config, registers });
  const engineDropped = counter(CATALOGUE.kvEngineDropped);
  const events = counter(CATALOGUE.kvZmqEvents);
  const filtered = counter(CATALOGUE.kvZmqFiltered);
  const unusable = counter(CATALOGUE.kvZmqUnusable);
  const empty = counter(CATALOGUE.kvZmqEmpty);
  const batchesDropped = counter(CATALOGUE.kvBatchesDropped);
  return (instanceId, { namespace, component }) => {
    const worker_id = hexId(instanceId);
    const labels = { dynamo_component: component, dynamo_namespace: namespace };
    // In the order in which they are written.
    const typed = (type: EngineEventType, rest: Readonly<Record<string, string>>) => ({
      ...labels,
      event_type: EVENT_TYPES[type],
      ...rest,
      worker_id,
    });
    engineDropped.inc({ ...labels, worker_id }, 0);
    return {
      engineDropped: (count) => engineDropped.inc({ ...labels, worker_id }, count),
      batchDropped: (reason) => batchesDropped.inc({ ...labels, reason, worker_id }),
      zmqEvent: (stage, type) => events.inc(typed(type, { stage })),
      zmqFiltered: (type, reason) => filtered.inc(typed(type, { reason })),
      zmqUnusable: (type) => unusable.inc(typed(type, { reason: "conversion_none" })),
      zmqEmpty: (type) => empty.inc(typed(type, { reason: "empty_store_blocks" })),
    };
  };
}
