/**
 * Discovery records: their keys and their JSON.
 *
 * @module
 */
import { stringifyJson } from "./payload.ts";

/** The four kinds of record. @source dynamo-runtime 1.6.1, discovery: bucket names */
export type DiscoveryBucket = "v1/instances" | "v1/mdc" | "v1/event_channels" | "v1/event_sources";

/** A record's place in the store. */
export interface DiscoveryKey {
  /** Kind of record. */
  readonly bucket: DiscoveryBucket;
  /** Path inside the bucket, such as `dynamo/sample/generate/1d470de9970943fd`. */
  readonly path: string;
}

/** The three names that lead to a set of instances. */
export interface EndpointName {
  /** Dynamo namespace. */
  readonly namespace: string;
  /** Component, such as `backend` or `sample`. */
  readonly component: string;
  /** Endpoint, such as `generate`. */
  readonly endpoint: string;
}

/** How a frontend reaches an instance; exactly one key on the wire. */
export type InstanceTransport = { readonly tcp: string };

/** Payload encoding of a request, announced by the worker and stated by each request. */
export type PayloadCodec = "json" | "msgpack";

/** One live endpoint of one worker. */
export interface InstanceRecord extends EndpointName {
  /** The worker. */
  readonly instance_id: bigint;
  /** Where to send requests. */
  readonly transport: InstanceTransport;
  /** Kind of device; a stock worker says `cuda` also without one. */
  readonly device_type?: "cpu" | "cuda";
  /** What a frontend should encode requests with; absent means JSON. */
  readonly request_plane_codec?: PayloadCodec;
}

/** One model served by one worker. */
export interface ModelRecord extends EndpointName {
  /** The worker. */
  readonly instance_id: bigint;
  /** The model card, see `model_card.ts`. */
  readonly card_json: Readonly<Record<string, unknown>>;
  /** Slug of a LoRA adapter; absent for a base model. */
  readonly model_suffix?: string;
}

/** An instance id as it stands in keys and paths: hexadecimal, lower case, not padded. */
export function hexId(id: bigint): string {
  return id.toString(16);
}

/** `<namespace>/<component>/<endpoint>`, the readable name of an endpoint. */
export function endpointPath(name: EndpointName): string {
  return `${name.namespace}/${name.component}/${name.endpoint}`;
}

/** Key of an endpoint record. */
export function instanceKey(name: EndpointName, instanceId: bigint): DiscoveryKey {
  return { bucket: "v1/instances", path: `${endpointPath(name)}/${hexId(instanceId)}` };
}

/** Key of a model card. */
export function modelKey(name: EndpointName, instanceId: bigint, suffix?: string): DiscoveryKey {
  const path = `${endpointPath(name)}/${hexId(instanceId)}`;
  return { bucket: "v1/mdc", path: suffix === undefined ? path : `${path}/${suffix}` };
}

/**
 * The path of an endpoint on the request plane, which frontends send back verbatim.
 *
 * @source dynamo-runtime 1.6.1, tcp request plane: `%` and `/` inside a name are escaped, nothing else
 */
export function requestPath(name: EndpointName, instanceId: bigint): string {
  const names = [name.namespace, name.component, name.endpoint];
  return [hexId(instanceId), ...names.map((part) => part.replaceAll("%", "%25").replaceAll("/", "%2F"))].join("/");
}

/** Encodes an endpoint record in the key order of the reference worker. */
export function encodeInstance(record: InstanceRecord): string {
  const { namespace, component, endpoint, instance_id, transport, device_type, request_plane_codec } = record;
  return stringifyJson({
    type: "Endpoint",
    component,
    endpoint,
    namespace,
    instance_id,
    transport,
    device_type,
    request_plane_codec,
  });
}

/** Encodes a model record in the key order of the reference worker. */
export function encodeModel(record: ModelRecord): string {
  const { namespace, component, endpoint, instance_id, card_json, model_suffix } = record;
  return stringifyJson({ type: "Model", namespace, component, endpoint, instance_id, card_json, model_suffix });
}
