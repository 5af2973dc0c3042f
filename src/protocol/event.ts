/**
 * The event plane: topics, subjects, and the envelope around every message.
 *
 * @module
 */
import { FieldReader } from "./field_reader.ts";
import { MsgpackWriter, packedText } from "./msgpack_writer.ts";
import { decodeMsgpack, decodeText, encodeText } from "./payload.ts";

/** Stored, removed and cleared blocks; see `kv_event.ts`. */
export const KV_EVENTS_TOPIC = "kv-events";
/** Load of a worker's ranks; see `load_event.ts`. */
export const KV_METRICS_TOPIC = "kv_metrics";
/** Requests that are past their prefill; see `load_event.ts`. */
export const ACTIVE_SEQUENCES_TOPIC = "active_sequences_events";
/** What each forward pass computed; see `load_event.ts`. */
export const FORWARD_PASS_TOPIC = "forward-pass-metrics";

/** The endpoint in an event's scope; unlike a record's it calls its own name `name`. */
export interface ScopeEndpoint {
  /** Dynamo namespace. */
  readonly namespace: string;
  /** Component. */
  readonly component: string;
  /** Endpoint. */
  readonly name: string;
}

/** What a publisher speaks for; scopes match exactly, there is no inheritance. @source dynamo-runtime 1.6.1, `EventScope` */
export type EventScope =
  | { readonly kind: "namespace"; readonly name: string }
  | { readonly kind: "component"; readonly namespace: string; readonly component: string }
  | { readonly kind: "endpoint"; readonly endpoint: ScopeEndpoint };

const PUBLISHER_ID_BITS = 53;

/** A publisher id made of random bits; as a Number it is exact. @source dynamo-runtime 1.6.1, event publisher ids */
export function publisherId(random: bigint): bigint {
  return BigInt.asUintN(PUBLISHER_ID_BITS, random);
}

/** The names that lead to a scope, each after its kind: `namespace`, `dynamo`, `component`, `backend` and so on. */
export function scopeSegments(scope: EventScope): string[] {
  if (scope.kind === "namespace") return ["namespace", scope.name];
  const { namespace, component } = scope.kind === "component" ? scope : scope.endpoint;
  const names = ["namespace", namespace, "component", component];
  return scope.kind === "component" ? names : [...names, "endpoint", scope.endpoint.name];
}

/**
 * A name as it stands in subjects and keys of events.
 *
 * @source dynamo-runtime 1.6.1, event plane: of the UTF-8 bytes only letters, digits, `-` and `_` stay
 */
export function eventSegment(name: string): string {
  return Array.from(encodeText(name), (byte) => {
    const char = String.fromCharCode(byte);
    return /[\w-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** The beginning of the NATS subjects of a scope, without a dot at its end. */
export function subjectPrefix(scope: EventScope): string {
  return scopeSegments(scope).map(eventSegment).join(".");
}

/** The NATS subject of a topic, which is also its first frame through a ZMQ broker. */
export function eventSubject(scope: EventScope, topic: string): string {
  return `${subjectPrefix(scope)}.${eventSegment(topic)}`;
}

/** One message of a publisher. @source dynamo-runtime 1.6.1, `EventEnvelope` */
export interface EventEnvelope {
  /** The publisher. */
  readonly publisher_id: bigint;
  /** Its messages, counted from 0. */
  readonly sequence: bigint;
  /** When it was published, since the Unix epoch. @unit milliseconds */
  readonly published_at: bigint;
  /** The topic, never the whole subject. */
  readonly topic: string;
  /** MessagePack of the topic's own value. */
  readonly payload: Uint8Array;
}

const ENVELOPE_MEMBERS = 5;
const PUBLISHER_ID = packedText("publisher_id");
const SEQUENCE = packedText("sequence");
const PUBLISHED_AT = packedText("published_at");
const TOPIC = packedText("topic");
const PAYLOAD = packedText("payload");
const shared = new MsgpackWriter();

/** Encodes an envelope in the member order of the reference worker. Over NATS these bytes are the message. */
export function encodeEnvelope(envelope: EventEnvelope): Uint8Array {
  shared.clear();
  shared.map(ENVELOPE_MEMBERS);
  shared.raw(PUBLISHER_ID);
  shared.u64(envelope.publisher_id);
  shared.raw(SEQUENCE);
  shared.u64(envelope.sequence);
  shared.raw(PUBLISHED_AT);
  shared.u64(envelope.published_at);
  shared.raw(TOPIC);
  shared.text(envelope.topic);
  shared.raw(PAYLOAD);
  shared.bin(envelope.payload);
  return shared.toBytes();
}

const fields = new FieldReader("event envelope");

/**
 * Reads an envelope.
 *
 * @throws {SyntaxError} If it is no MessagePack map of an envelope's members.
 */
export function decodeEnvelope(bytes: Uint8Array): EventEnvelope {
  let value: unknown;
  try {
    value = decodeMsgpack(bytes);
  } catch (cause) {
    throw fields.unreadable("not MessagePack", cause);
  }
  const raw = fields.object(value, "envelope");
  return {
    publisher_id: fields.u64(raw.publisher_id, "publisher_id"),
    sequence: fields.u64(raw.sequence, "sequence"),
    published_at: fields.u64(raw.published_at, "published_at"),
    topic: fields.text(raw.topic, "topic"),
    payload: fields.bytes(raw.payload, "payload"),
  };
}

const ZMQ_VERSION = 1;
const ZMQ_PREFIX_BYTES = 5;
const ZMQ_FRAMES = 4;
const ID_BYTES = 8;

/**
 * The frames of a message over ZMQ.
 *
 * @param subject What subscribers filter by: the topic on a socket of one's own, the whole subject through a broker.
 * @source dynamo-runtime 1.6.1, `zmq_transport.rs`: publisher and sequence big-endian, version 1, u32 length, envelope
 */
export function encodeZmqFrames(envelope: EventEnvelope, subject: string = envelope.topic): Uint8Array[] {
  const body = encodeEnvelope(envelope);
  const framed = new Uint8Array(ZMQ_PREFIX_BYTES + body.length);
  framed[0] = ZMQ_VERSION;
  new DataView(framed.buffer).setUint32(1, body.length);
  framed.set(body, ZMQ_PREFIX_BYTES);
  return [encodeText(subject), bigEndian(envelope.publisher_id), bigEndian(envelope.sequence), framed];
}

/** A message over ZMQ. */
export interface ZmqMessage {
  /** First frame. */
  readonly subject: string;
  /** What the other frames say, all of one mind. */
  readonly envelope: EventEnvelope;
}

/**
 * Reads the frames of a message over ZMQ and holds them to what a router checks.
 *
 * @throws {SyntaxError} If a router would drop the message: frames too many, few or short, another version, a length
 * that is not the envelope's, ids that differ from it.
 */
export function decodeZmqFrames(frames: readonly Uint8Array[]): ZmqMessage {
  const [subject, publisher, sequence, framed] = frames;
  if (frames.length !== ZMQ_FRAMES || !subject || !publisher || !sequence || !framed) {
    throw fields.unreadable(`${frames.length} ZMQ frames, not ${ZMQ_FRAMES}`);
  }
  if (publisher.length !== ID_BYTES || sequence.length !== ID_BYTES || framed.length < ZMQ_PREFIX_BYTES) {
    throw fields.unreadable("a ZMQ frame is too short");
  }
  if (framed[0] !== ZMQ_VERSION) throw fields.unreadable(`version ${framed[0]}, not ${ZMQ_VERSION}`);
  const length = viewOf(framed).getUint32(1);
  if (length !== framed.length - ZMQ_PREFIX_BYTES) {
    throw fields.unreadable(`${framed.length - ZMQ_PREFIX_BYTES} bytes of ${length} announced`);
  }
  const envelope = decodeEnvelope(framed.subarray(ZMQ_PREFIX_BYTES));
  if (viewOf(publisher).getBigUint64(0) !== envelope.publisher_id) {
    throw fields.unreadable("its publisher is not the frame's");
  }
  if (viewOf(sequence).getBigUint64(0) !== envelope.sequence) {
    throw fields.unreadable("its sequence is not the frame's");
  }
  return { subject: decodeText(subject), envelope };
}

/** Wraps the payloads of one publisher: counts them and stamps them with its id and topic. */
export class EventSequence {
  /** The publisher. */
  readonly publisherId: bigint;
  /** The topic. */
  readonly topic: string;
  #next = 0n;

  /** Starts at sequence 0. */
  constructor(publisherId: bigint, topic: string) {
    this.publisherId = publisherId;
    this.topic = topic;
  }

  /** The next message. @param publishedAt Milliseconds since the Unix epoch; fractions are cut. */
  wrap(payload: Uint8Array, publishedAt: number): EventEnvelope {
    return {
      publisher_id: this.publisherId,
      sequence: this.#next++,
      published_at: BigInt(Math.trunc(publishedAt)),
      topic: this.topic,
      payload,
    };
  }

  /** Counts a message that nobody is there to read. */
  skip(): void {
    this.#next++;
  }
}

function bigEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(ID_BYTES);
  viewOf(bytes).setBigUint64(0, value);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
