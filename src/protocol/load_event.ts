/**
 * What a worker says about its load: block counts, requests past their prefill, forward passes.
 *
 * @module
 */
import { FieldReader, orNull } from "./field_reader.ts";
import { MsgpackWriter, packedText } from "./msgpack_writer.ts";
import { decodeMsgpack } from "./payload.ts";

/** Load of one rank, the payload of the topic `kv_metrics`. @source dynamo-kv-router 1.6.1, `ActiveLoad` */
export interface KvMetrics {
  /** The worker. */
  readonly worker_id: bigint;
  /** Its rank. */
  readonly dp_rank: number;
  /** Blocks in use by decoding requests; workers leave it `null`. @unit blocks */
  readonly active_decode_blocks: bigint | null;
  /** Tokens waiting for their prefill; always `null` from a worker. @unit tokens */
  readonly active_prefill_tokens: bigint | null;
  /** Blocks in use. A frontend keeps the value until the next one. @unit blocks */
  readonly kv_used_blocks: bigint | null;
}

/**
 * One change to a request that is running. Routers send other kinds of it to each other.
 *
 * @source dynamo-kv-router 1.6.1, `ActiveSequenceEvent`
 */
export interface ActiveSequenceEvent {
  /** The request. */
  readonly request_id: string;
  /** Where it runs. */
  readonly worker: { readonly worker_id: bigint; readonly dp_rank: number };
  /** What a worker reports: the first token is there, so the prefill is over. */
  readonly data: "MarkPrefillCompleted";
  /** Who says so: the worker's id. */
  readonly router_id: bigint;
  /** LoRA adapter. */
  readonly lora_name: string | null;
}

/** Requests a forward pass took in. */
export interface ScheduledRequests {
  /** Requests in their prefill. */
  readonly num_prefill_requests: number;
  /** Their tokens of this pass. @unit tokens */
  readonly sum_prefill_tokens: number;
  /** Variance of their prompt lengths. */
  readonly var_prefill_length: number;
  /** Their tokens already in the cache. @unit tokens */
  readonly sum_prefill_kv_tokens: number;
  /** Requests that decode. */
  readonly num_decode_requests: number;
  /** Their tokens in the cache. @unit tokens */
  readonly sum_decode_kv_tokens: number;
  /** Variance of their tokens in the cache. */
  readonly var_decode_kv_tokens: number;
}

/** Requests that wait for a forward pass. */
export type QueuedRequests = Omit<ScheduledRequests, "sum_prefill_kv_tokens">;

/** One forward pass, the payload of the topic `forward-pass-metrics`. @source dynamo-llm 1.6.1, `ForwardPassMetrics` */
export interface ForwardPassMetrics {
  /** Version of this shape. */
  readonly version: 1;
  /** The worker, in decimal. */
  readonly worker_id: string;
  /** Its rank. */
  readonly dp_rank: number;
  /** The rank's passes, counted from 1. */
  readonly counter_id: bigint;
  /** How long the pass took. @unit seconds */
  readonly wall_time: number;
  /** What it computed. */
  readonly scheduled_requests: ScheduledRequests;
  /** What it left waiting. */
  readonly queued_requests: QueuedRequests;
}

/** Figures that are floating-point numbers also when they are whole. */
const FLOATS: ReadonlySet<string> = new Set(["var_prefill_length", "var_decode_kv_tokens"]);
const QUEUED = [
  "num_prefill_requests",
  "sum_prefill_tokens",
  "var_prefill_length",
  "num_decode_requests",
  "sum_decode_kv_tokens",
  "var_decode_kv_tokens",
] as const;
const SCHEDULED = [
  "num_prefill_requests",
  "sum_prefill_tokens",
  "var_prefill_length",
  "sum_prefill_kv_tokens",
  "num_decode_requests",
  "sum_decode_kv_tokens",
  "var_decode_kv_tokens",
] as const;

/** A member that is there in MessagePack already. */
interface Key<T extends string> {
  readonly name: T;
  readonly packed: Uint8Array;
  readonly isFloat: boolean;
}

const keyOf = <T extends string>(name: T): Key<T> => ({ name, packed: packedText(name), isFloat: FLOATS.has(name) });
const PASS_MEMBERS = 7;
const VERSION = packedText("version");
const WORKER_ID = packedText("worker_id");
const DP_RANK = packedText("dp_rank");
const COUNTER_ID = packedText("counter_id");
const WALL_TIME = packedText("wall_time");
const SCHEDULED_REQUESTS = packedText("scheduled_requests");
const SCHEDULED_KEYS = SCHEDULED.map(keyOf);
const QUEUED_REQUESTS = packedText("queued_requests");
const QUEUED_KEYS = QUEUED.map(keyOf);
const shared = new MsgpackWriter();

/** Encodes the load of a rank. */
export function encodeKvMetrics(metrics: KvMetrics): Uint8Array {
  const { worker_id, dp_rank, active_decode_blocks, active_prefill_tokens, kv_used_blocks } = metrics;
  return encode({ worker_id, dp_rank, active_decode_blocks, active_prefill_tokens, kv_used_blocks });
}

/** Encodes requests past their prefill as they travel over ZMQ: in a list that is the only member of a map. */
export function encodeActiveSequences(events: readonly ActiveSequenceEvent[]): Uint8Array {
  return encode({ events: events.map(activeSequence) });
}

/** Encodes a request past its prefill as it travels over NATS: bare. */
export function encodeActiveSequence(event: ActiveSequenceEvent): Uint8Array {
  return encode(activeSequence(event));
}

function activeSequence({ request_id, worker, data, router_id, lora_name }: ActiveSequenceEvent): object {
  const { worker_id, dp_rank } = worker;
  return { request_id, worker: { worker_id, dp_rank }, data, router_id, lora_name };
}

/** Encodes a forward pass. An engine makes hundreds a second, so nothing is built but the bytes. */
export function encodeForwardPass(metrics: ForwardPassMetrics): Uint8Array {
  shared.clear();
  shared.map(PASS_MEMBERS);
  shared.raw(VERSION);
  shared.uint(metrics.version);
  shared.raw(WORKER_ID);
  shared.text(metrics.worker_id);
  shared.raw(DP_RANK);
  shared.uint(metrics.dp_rank);
  shared.raw(COUNTER_ID);
  shared.u64(metrics.counter_id);
  shared.raw(WALL_TIME);
  shared.float(metrics.wall_time);
  writeFigures(SCHEDULED_REQUESTS, SCHEDULED_KEYS, metrics.scheduled_requests);
  writeFigures(QUEUED_REQUESTS, QUEUED_KEYS, metrics.queued_requests);
  return shared.toBytes();
}

function writeFigures<T extends string>(key: Uint8Array, keys: readonly Key<T>[], from: Readonly<Record<T, number>>) {
  shared.raw(key);
  shared.map(keys.length);
  for (const { name, packed, isFloat } of keys) {
    shared.raw(packed);
    if (isFloat) shared.float(from[name]);
    else shared.uint(from[name]);
  }
}

function encode(value: object): Uint8Array {
  const writer = new MsgpackWriter();
  write(writer, value);
  return writer.toBytes();
}

function write(writer: MsgpackWriter, value: unknown): void {
  if (value === null) writer.nil();
  else if (typeof value === "string") writer.text(value);
  else if (typeof value === "bigint") writer.u64(value);
  else if (typeof value === "number") writer.uint(value);
  else if (Array.isArray(value)) {
    writer.array(value.length);
    for (const item of value) write(writer, item);
  } else {
    const entries = Object.entries(value as object);
    writer.map(entries.length);
    for (const [key, item] of entries) {
      writer.text(key);
      write(writer, item);
    }
  }
}

const fields = new FieldReader("load event");

/**
 * Reads the load of a rank.
 *
 * @throws {SyntaxError} If a frontend could not read it either.
 */
export function decodeKvMetrics(payload: Uint8Array): KvMetrics {
  const raw = decodeMap(payload);
  const count = (name: string) => orNull(raw[name], (value) => fields.u64(value, name));
  return {
    worker_id: fields.u64(raw.worker_id, "worker_id"),
    dp_rank: fields.u32(raw.dp_rank, "dp_rank"),
    active_decode_blocks: count("active_decode_blocks"),
    active_prefill_tokens: count("active_prefill_tokens"),
    kv_used_blocks: count("kv_used_blocks"),
  };
}

/**
 * Reads requests past their prefill, in either of their two shapes.
 *
 * @throws {SyntaxError} If it is neither, or one of the changes that only routers make.
 */
export function decodeActiveSequences(payload: Uint8Array): ActiveSequenceEvent[] {
  const raw = decodeMap(payload);
  const events = raw.events === undefined ? [raw] : fields.list(raw.events, "events");
  return events.map((event) => readActiveSequence(fields.object(event, "events[]")));
}

function readActiveSequence(raw: Readonly<Record<string, unknown>>): ActiveSequenceEvent {
  const worker = fields.object(raw.worker, "worker");
  return {
    request_id: fields.text(raw.request_id, "request_id"),
    worker: {
      worker_id: fields.u64(worker.worker_id, "worker.worker_id"),
      dp_rank: fields.u32(worker.dp_rank, "worker.dp_rank"),
    },
    data: fields.oneOf(raw.data, ["MarkPrefillCompleted"], "data"),
    router_id: fields.u64(raw.router_id, "router_id"),
    lora_name: orNull(raw.lora_name, (name) => fields.text(name, "lora_name")),
  };
}

/**
 * Reads a forward pass.
 *
 * @throws {SyntaxError} If a member is missing or has another type, or the version is not 1.
 */
export function decodeForwardPass(payload: Uint8Array): ForwardPassMetrics {
  const raw = decodeMap(payload);
  if (raw.version !== 1) throw fields.unreadable(`version ${String(raw.version)} of forward-pass metrics, not 1`);
  return {
    version: 1,
    worker_id: fields.text(raw.worker_id, "worker_id"),
    dp_rank: fields.u32(raw.dp_rank, "dp_rank"),
    counter_id: fields.u64(raw.counter_id, "counter_id"),
    wall_time: fields.number(raw.wall_time, "wall_time"),
    scheduled_requests: numbers(raw.scheduled_requests, "scheduled_requests", SCHEDULED),
    queued_requests: numbers(raw.queued_requests, "queued_requests", QUEUED),
  };
}

function numbers<T extends string>(value: unknown, name: string, members: readonly T[]): Record<T, number> {
  const raw = fields.object(value, name);
  const read = members.map((member) => [member, fields.number(raw[member], `${name}.${member}`)]);
  return Object.fromEntries(read) as Record<T, number>;
}

function decodeMap(payload: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = decodeMsgpack(payload);
  } catch (cause) {
    throw fields.unreadable("not MessagePack", cause);
  }
  return fields.object(value, "payload");
}
