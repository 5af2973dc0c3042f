/**
 * Discovery records: their keys and their JSON.
 *
 * @module
 */
import { assertModelCard } from "./card_check.ts";
import { FieldReader } from "./field_reader.ts";
import { stringifyJson } from "./payload.ts";

/** The four kinds of record. @source dynamo-runtime 1.6.1, discovery: bucket names */
export type DiscoveryBucket = "v1/instances" | "v1/mdc" | "v1/event_channels" | "v1/event_sources";

/** What a record says it is. */
export type RecordType = "Endpoint" | "Model" | "EventChannel" | "EventSource";

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
export type InstanceTransport = { readonly tcp: string } | { readonly nats_tcp: string };

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

/**
 * A model name as it stands in URLs and keys.
 *
 * @source dynamo-llm 1.6.1, `Slug`: lower case, other characters become `_`, leading `_` are removed
 */
export function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9_-]/gu, "_").replace(/^_+/, "");
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

/**
 * The NATS subject on which an endpoint takes requests.
 *
 * @throws {SyntaxError} If the names cannot be part of a subject.
 * @source dynamo-runtime 1.6.1, nats request plane: names as they are
 */
export function requestSubject(name: EndpointName, instanceId: bigint): string {
  const subject = `${name.namespace}_${name.component}.${name.endpoint}-${hexId(instanceId)}`;
  if (/\s|\.\.|^\./.test(subject) || subject.split(".").some((token) => token === "*" || token === ">")) {
    const what = "white space, an empty part between dots, or a wildcard";
    throw new SyntaxError(
      `${endpointPath(name)} cannot be a NATS subject: there is ${what} in ${JSON.stringify(subject)}`,
    );
  }
  return subject;
}

/** Encodes an endpoint record in the key order of the reference worker. */
export function encodeInstance(record: InstanceRecord): string {
  return stringifyJson({ type: "Endpoint", ...orderedInstance(record) });
}

/** An endpoint record in the key order of the reference worker, as it stands inside other records. */
export function orderedInstance(record: InstanceRecord): InstanceRecord {
  const { namespace, component, endpoint, instance_id, transport, device_type, request_plane_codec } = record;
  return {
    ...{ component, endpoint, namespace, instance_id, transport },
    ...(device_type === undefined ? {} : { device_type }),
    ...(request_plane_codec === undefined ? {} : { request_plane_codec }),
  };
}

/** Encodes a model record in the key order of the reference worker. */
export function encodeModel(record: ModelRecord): string {
  const { namespace, component, endpoint, instance_id, card_json, model_suffix } = record;
  return stringifyJson({ type: "Model", namespace, component, endpoint, instance_id, card_json, model_suffix });
}

/**
 * Reads an endpoint record; unknown fields are dropped.
 *
 * @throws {SyntaxError} If a frontend would refuse it too: no JSON, another type, a missing field, an id that is no
 * unsigned 64-bit integer, an unknown transport, device type or codec.
 * @source dynamo-runtime 1.6.1, discovery: `DiscoveryInstance`
 */
export function decodeInstance(text: string): InstanceRecord {
  return readInstance(parseRecord(text, "Endpoint"));
}

/**
 * The same for a record inside another, which has no `type`.
 *
 * @throws {SyntaxError} As {@linkcode decodeInstance} does.
 */
export function readInstance(raw: Readonly<Record<string, unknown>>): InstanceRecord {
  const { device_type, request_plane_codec } = raw;
  return {
    ...endpointName(raw),
    instance_id: fields.id(raw.instance_id, "instance_id"),
    transport: transport(raw.transport),
    ...(device_type === undefined || device_type === null
      ? {}
      : { device_type: fields.oneOf(device_type, ["cpu", "cuda"], "device_type") }),
    ...(request_plane_codec === undefined || request_plane_codec === null
      ? {}
      : { request_plane_codec: fields.oneOf(request_plane_codec, ["json", "msgpack"], "request_plane_codec") }),
  };
}

/**
 * Reads a model record. The card keeps all its fields, also unknown ones; its integers above 2^53 are `bigint`.
 *
 * @throws {SyntaxError} If a frontend would refuse the record or its card too.
 * @source dynamo-runtime 1.6.1, discovery: `DiscoveryInstance`; dynamo-llm 1.6.1, `ModelDeploymentCard`
 */
export function decodeModel(text: string): ModelRecord {
  const raw = parseRecord(text, "Model");
  const card_json = fields.object(raw.card_json, "card_json");
  assertModelCard(card_json);
  const suffix = raw.model_suffix ?? null;
  if (suffix !== null && typeof suffix !== "string") throw fields.unreadable("`model_suffix` is not a string");
  if ((suffix === null) !== ((card_json.lora ?? null) === null)) {
    throw fields.unreadable("LoRA discovery identity and card metadata disagree");
  }
  return {
    ...endpointName(raw),
    instance_id: fields.id(raw.instance_id, "instance_id"),
    card_json,
    ...(suffix === null ? {} : { model_suffix: suffix }),
  };
}

// JSON.rawJSON and the reviver's third argument exist on Deno and Bun; TypeScript's library does not know them yet.
const json = JSON as unknown as {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
};

const INTEGER = /^-?\d+$/;
const IDS: ReadonlySet<string> = new Set(["instance_id", "publisher_id", "worker_id"]);
const fields = new FieldReader("discovery record");

/**
 * Parses a record without losing a digit; ids are `bigint` however small. Records are few and small, so that a reviver
 * is not too dear here.
 *
 * @throws {SyntaxError} If the text is not JSON or a record of another type.
 */
export function parseRecord(text: string, type: RecordType): Record<string, unknown> {
  let value: unknown;
  try {
    value = json.parse(text, (key, item, { source }) => {
      if (typeof item !== "number" || source === undefined) return item;
      if (INTEGER.test(source)) return IDS.has(key) || !Number.isSafeInteger(item) ? BigInt(source) : item;
      return String(item) === source ? item : json.rawJSON(source);
    });
  } catch (cause) {
    throw fields.unreadable("not JSON", cause);
  }
  const raw = fields.object(value, "record");
  if (raw.type === undefined) throw fields.unreadable("missing field `type`");
  if (raw.type !== type) throw fields.unreadable(`type ${JSON.stringify(raw.type)} is not \`${type}\``);
  const plain = plainNumbers(raw) as Record<string, unknown>;
  const card = raw.card_json;
  if (typeof card === "object" && card !== null && "router_config" in card) {
    // The model sum covers this object's text, where `1.0` is not `1`.
    (plain.card_json as Record<string, unknown>).router_config = card.router_config;
  }
  return plain;
}

/** Turns numbers that were kept as text, such as `1.0`, into numbers. */
function plainNumbers(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (json.isRawJSON(value)) return Number((value as { rawJSON: string }).rawJSON);
  if (Array.isArray(value)) return value.map(plainNumbers);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainNumbers(item)]));
}

function endpointName(raw: Readonly<Record<string, unknown>>): EndpointName {
  return {
    namespace: fields.text(raw.namespace, "namespace"),
    component: fields.text(raw.component, "component"),
    endpoint: fields.text(raw.endpoint, "endpoint"),
  };
}

function transport(value: unknown): InstanceTransport {
  const entries = Object.entries(fields.object(value, "transport"));
  const [kind, address] = entries[0] ?? [];
  if (entries.length !== 1 || (kind !== "tcp" && kind !== "nats_tcp")) {
    throw fields.unreadable("`transport` is neither `nats_tcp` nor `tcp`");
  }
  return kind === "tcp"
    ? { tcp: fields.text(address, "transport.tcp") }
    : { nats_tcp: fields.text(address, "transport.nats_tcp") };
}
