/**
 * Discovery records of the event plane: where a publisher is, and for whom it speaks.
 *
 * @module
 */
import { type EventScope, eventSegment, type ScopeEndpoint, scopeSegments } from "./event.ts";
import { FieldReader } from "./field_reader.ts";
import { stringifyJson } from "./payload.ts";
import { type DiscoveryKey, hexId, type InstanceRecord, orderedInstance, parseRecord, readInstance } from "./record.ts";

/** How to reach a publisher. @source dynamo-runtime 1.6.1, `EventTransport` */
export type EventTransport =
  | { readonly kind: "Zmq"; readonly config: { readonly endpoint: string } }
  | { readonly kind: "Nats"; readonly config: { readonly subject_prefix: string } }
  | {
    readonly kind: "ZmqBroker";
    readonly config: { readonly xsub_endpoints: readonly string[]; readonly xpub_endpoints: readonly string[] };
  };

/** Where one publisher is. */
export interface EventChannelRecord {
  /** What it speaks for. */
  readonly scope: EventScope;
  /** Its topic. */
  readonly topic: string;
  /** The publisher's id, in spite of the name. */
  readonly instance_id: bigint;
  /** How to reach it. */
  readonly transport: EventTransport;
}

/** For which rank of which worker a publisher of KV events speaks. There may be one for each rank. */
export interface EventSourceRecord {
  /** What it speaks for. */
  readonly scope: EventScope;
  /** Its topic. */
  readonly topic: string;
  /** The publisher. */
  readonly publisher_id: bigint;
  /** The rest; the publisher's id once more. */
  readonly metadata: {
    /** Endpoint that the cache serves. */
    readonly kv_state_endpoint: ScopeEndpoint;
    /** Worker and rank. */
    readonly worker: { readonly worker_id: bigint; readonly dp_rank: number };
    /** The publisher. */
    readonly publisher_id: bigint;
    /** Where to ask for missed events; absent if nobody answers. */
    readonly recovery_target?: InstanceRecord;
  };
}

/** Key of a publisher's channel. */
export function eventChannelKey(scope: EventScope, topic: string, publisherId: bigint): DiscoveryKey {
  return { bucket: "v1/event_channels", path: eventPath(scope, topic, publisherId) };
}

/** Key of a publisher's source. */
export function eventSourceKey(scope: EventScope, topic: string, publisherId: bigint): DiscoveryKey {
  return { bucket: "v1/event_sources", path: eventPath(scope, topic, publisherId) };
}

function eventPath(scope: EventScope, topic: string, publisherId: bigint): string {
  return [...scopeSegments(scope), "topic", topic, hexId(publisherId)].map(eventSegment).join("/");
}

/** Encodes a channel in the key order of the reference worker. */
export function encodeEventChannel({ scope, topic, instance_id, transport }: EventChannelRecord): string {
  return stringifyJson({ type: "EventChannel", scope: ordered(scope), topic, instance_id, transport });
}

/** Encodes a source in the key order of the reference worker. */
export function encodeEventSource({ scope, topic, publisher_id, metadata }: EventSourceRecord): string {
  const { kv_state_endpoint, worker, recovery_target: target } = metadata;
  return stringifyJson({
    type: "EventSource",
    scope: ordered(scope),
    topic,
    publisher_id,
    metadata: {
      kv_state_endpoint: orderedEndpoint(kv_state_endpoint),
      worker: { worker_id: worker.worker_id, dp_rank: worker.dp_rank },
      publisher_id: metadata.publisher_id,
      recovery_target: target && orderedInstance(target),
    },
  });
}

function ordered(scope: EventScope): EventScope {
  if (scope.kind === "namespace") return { kind: scope.kind, name: scope.name };
  if (scope.kind === "endpoint") return { kind: scope.kind, endpoint: orderedEndpoint(scope.endpoint) };
  return { kind: scope.kind, namespace: scope.namespace, component: scope.component };
}

function orderedEndpoint({ namespace, component, name }: ScopeEndpoint): ScopeEndpoint {
  return { namespace, component, name };
}

const fields = new FieldReader("discovery record");

/**
 * Reads a channel; unknown fields are dropped.
 *
 * @throws {SyntaxError} If a frontend would refuse it too.
 * @source dynamo-runtime 1.6.1, discovery: `DiscoveryInstance`
 */
export function decodeEventChannel(text: string): EventChannelRecord {
  const raw = parseRecord(text, "EventChannel");
  return {
    scope: readScope(raw.scope),
    topic: fields.text(raw.topic, "topic"),
    instance_id: fields.id(raw.instance_id, "instance_id"),
    transport: readTransport(raw.transport),
  };
}

/**
 * Reads a source; unknown fields are dropped.
 *
 * @throws {SyntaxError} If a frontend would refuse it too.
 * @source dynamo-runtime 1.6.1, discovery: `DiscoveryInstance`
 */
export function decodeEventSource(text: string): EventSourceRecord {
  const raw = parseRecord(text, "EventSource");
  const metadata = fields.object(raw.metadata, "metadata");
  const worker = fields.object(metadata.worker, "metadata.worker");
  const target = metadata.recovery_target ?? null;
  return {
    scope: readScope(raw.scope),
    topic: fields.text(raw.topic, "topic"),
    publisher_id: fields.id(raw.publisher_id, "publisher_id"),
    metadata: {
      kv_state_endpoint: readEndpoint(metadata.kv_state_endpoint, "metadata.kv_state_endpoint"),
      worker: {
        worker_id: fields.id(worker.worker_id, "metadata.worker.worker_id"),
        dp_rank: fields.u32(worker.dp_rank, "metadata.worker.dp_rank"),
      },
      publisher_id: fields.id(metadata.publisher_id, "metadata.publisher_id"),
      ...(target === null ? {} : { recovery_target: readInstance(fields.object(target, "metadata.recovery_target")) }),
    },
  };
}

function readScope(value: unknown): EventScope {
  const raw = fields.object(value, "scope");
  const kind = fields.oneOf(raw.kind, ["namespace", "component", "endpoint"], "scope.kind");
  if (kind === "namespace") return { kind, name: fields.text(raw.name, "scope.name") };
  if (kind === "endpoint") return { kind, endpoint: readEndpoint(raw.endpoint, "scope.endpoint") };
  return {
    kind,
    namespace: fields.text(raw.namespace, "scope.namespace"),
    component: fields.text(raw.component, "scope.component"),
  };
}

function readEndpoint(value: unknown, name: string): ScopeEndpoint {
  const raw = fields.object(value, name);
  return {
    namespace: fields.text(raw.namespace, `${name}.namespace`),
    component: fields.text(raw.component, `${name}.component`),
    name: fields.text(raw.name, `${name}.name`),
  };
}

function readTransport(value: unknown): EventTransport {
  const raw = fields.object(value, "transport");
  const kind = fields.oneOf(raw.kind, ["Zmq", "Nats", "ZmqBroker"], "transport.kind");
  const config = fields.object(raw.config, "transport.config");
  if (kind === "Zmq") return { kind, config: { endpoint: fields.text(config.endpoint, "transport.config.endpoint") } };
  if (kind === "Nats") {
    const subject_prefix = fields.text(config.subject_prefix, "transport.config.subject_prefix");
    return { kind, config: { subject_prefix } };
  }
  const texts = (name: string) =>
    fields.list(config[name], `transport.config.${name}`).map((item) =>
      fields.text(item, `transport.config.${name}[]`)
    );
  return { kind, config: { xsub_endpoints: texts("xsub_endpoints"), xpub_endpoints: texts("xpub_endpoints") } };
}
