/**
 * The records by which subscribers find a publisher.
 *
 * @module
 */
import type { Discovery } from "../discovery/discovery.ts";
import type { EventPublisher } from "../event_plane/event_plane.ts";
import { encodeEventChannel, encodeEventSource, eventChannelKey, eventSourceKey } from "../protocol/event_record.ts";
import type { EventScope } from "../protocol/event.ts";
import type { EndpointName, InstanceRecord } from "../protocol/record.ts";

/** The scope of an endpoint. */
export function endpointScope({ namespace, component, endpoint }: EndpointName): EventScope {
  return { kind: "endpoint", endpoint: { namespace, component, name: endpoint } };
}

/** Publishes where a publisher is, if subscribers have to be told. Disposing it takes that back. */
export async function announceChannel(discovery: Discovery, publisher: EventPublisher): Promise<AsyncDisposable> {
  const { scope, topic, id, transport } = publisher;
  if (transport === null) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const key = eventChannelKey(scope, topic, id);
  await discovery.put(key, encodeEventChannel({ scope, topic, instance_id: id, transport }));
  return { [Symbol.asyncDispose]: () => discovery.delete(key) };
}

/** For whom a publisher speaks. */
export interface SourceOwner {
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** The rank. */
  readonly dpRank: number;
  /** Where routers ask for what they missed. */
  readonly recovery: InstanceRecord | null;
}

/**
 * Publishes for which rank a publisher of KV events speaks; routers take its events from then on. Disposing it takes that
 * back, and routers forget the rank.
 */
export async function announceSource(
  discovery: Discovery,
  publisher: EventPublisher,
  { name, dpRank, recovery }: SourceOwner,
): Promise<AsyncDisposable> {
  const { scope, topic, id } = publisher;
  const { namespace, component, endpoint } = name;
  const key = eventSourceKey(scope, topic, id);
  const metadata = {
    kv_state_endpoint: { namespace, component, name: endpoint },
    worker: { worker_id: discovery.instanceId, dp_rank: dpRank },
    publisher_id: id,
    ...(recovery === null ? {} : { recovery_target: recovery }),
  };
  await discovery.put(key, encodeEventSource({ scope, topic, publisher_id: id, metadata }));
  return { [Symbol.asyncDispose]: () => discovery.delete(key) };
}
