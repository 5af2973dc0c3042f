/**
 * How a router asks a worker for the KV events it missed, and the answers.
 *
 * @module
 */
import { FieldReader, orNull } from "./field_reader.ts";
import { readRouterEvent, type RouterEvent, writeRouterEvent } from "./kv_event.ts";
import { MsgpackWriter, packedText } from "./msgpack_writer.ts";
import { decodeMsgpack, encodeText, stringifyJson } from "./payload.ts";
import { hexId, type PayloadCodec } from "./record.ts";

/** The endpoint of a publisher's recovery, on the worker's own component. @source dynamo-llm 1.6.1, KV worker query */
export function recoveryEndpointName(publisherId: bigint): string {
  return `${RECOVERY_PREFIX}${hexId(publisherId)}`;
}

/** Whether an endpoint answers routers about a cache rather than requests. */
export function isRecoveryEndpoint(endpoint: string): boolean {
  return endpoint.startsWith(RECOVERY_PREFIX);
}

const RECOVERY_PREFIX = "worker_kv_query_source_";

/** A router's question. @source dynamo-kv-router 1.6.1, `WorkerKvQueryRequest` */
export interface RecoveryQuery {
  /** The worker it believes to ask. */
  readonly worker_id: bigint;
  /** The rank it asks about. */
  readonly dp_rank: number;
  /** First event wanted; `null` asks for everything. */
  readonly start_event_id: bigint | null;
  /** Last event wanted; `null` asks for all there are. */
  readonly end_event_id: bigint | null;
  /** Whether it understands `TreeDumpFailed`. */
  readonly supports_tree_dump_failed: boolean;
  /** What it wants; all but `recovery` is for state agents. */
  readonly kind: "recovery" | "other";
}

/** A worker's answer; exactly one member. @source dynamo-kv-router 1.6.1, `WorkerKvQueryResponse` */
export type RecoveryReply =
  | {
    /** All the worker holds; the router forgets what it had of the rank. */
    readonly TreeDump: {
      readonly events: readonly RouterEvent[];
      readonly last_event_id: bigint;
      readonly reset_scope: "all";
    };
  }
  | {
    /** The events asked for, with their own ids. */
    readonly Events: { readonly events: readonly RouterEvent[]; readonly last_event_id: bigint };
  }
  | {
    /** The first event asked for has not happened. */
    readonly TooNew: {
      readonly requested_start: bigint | null;
      readonly requested_end: bigint | null;
      readonly newest_available: bigint;
    };
  }
  | {
    /** The end lies before the start. */ readonly InvalidRange: { readonly start_id: bigint; readonly end_id: bigint };
  }
  | {
    /** There is no dump; the router keeps what it has. */
    readonly TreeDumpFailed: { readonly last_event_id: bigint; readonly message: string };
  }
  | { /** The question cannot be answered. */ readonly Error: string };

const fields = new FieldReader("KV recovery message");

/**
 * Reads the decoded body of a question.
 *
 * @throws {SyntaxError} If a member is missing or has another type.
 */
export function readRecoveryQuery(body: unknown): RecoveryQuery {
  const raw = fields.object(body, "request");
  const { kind = "recovery", supports_tree_dump_failed: supports } = raw;
  return {
    worker_id: fields.u64(raw.worker_id, "worker_id"),
    dp_rank: fields.u32(raw.dp_rank, "dp_rank"),
    start_event_id: orNull(raw.start_event_id, (id) => fields.u64(id, "start_event_id")),
    end_event_id: orNull(raw.end_event_id, (id) => fields.u64(id, "end_event_id")),
    supports_tree_dump_failed: supports === undefined ? false : fields.bool(supports, "supports_tree_dump_failed"),
    kind: kind === "recovery" ? kind : "other",
  };
}

/** Encodes a question for recovery, as MessagePack. */
export function encodeRecoveryQuery(query: Omit<RecoveryQuery, "kind">): Uint8Array {
  const writer = new MsgpackWriter();
  writer.map(6);
  writer.text("worker_id");
  writer.u64(query.worker_id);
  writer.text("dp_rank");
  writer.uint(query.dp_rank);
  writer.text("start_event_id");
  writeId(writer, query.start_event_id);
  writer.text("end_event_id");
  writeId(writer, query.end_event_id);
  writer.text("supports_tree_dump_failed");
  writer.bool(query.supports_tree_dump_failed);
  writer.text("kind");
  writer.text("recovery");
  return writer.toBytes();
}

const DATA = packedText("data");
const COMPLETE_FINAL = packedText("complete_final");

/** Encodes an answer as the one item of its response stream, wrapped as every item is. */
export function encodeRecoveryReply(reply: RecoveryReply, codec: PayloadCodec): Uint8Array {
  if (codec === "json") return encodeText(stringifyJson({ data: reply, complete_final: false }));
  const writer = new MsgpackWriter();
  writer.map(2);
  writer.raw(DATA);
  writeReply(writer, reply);
  writer.raw(COMPLETE_FINAL);
  writer.bool(false);
  return writer.toBytes();
}

function writeReply(writer: MsgpackWriter, reply: RecoveryReply): void {
  writer.map(1);
  if ("TreeDump" in reply) {
    const { events, last_event_id, reset_scope } = reply.TreeDump;
    writer.text("TreeDump");
    writer.map(3);
    writeEvents(writer, events, last_event_id);
    writer.text("reset_scope");
    writer.text(reset_scope);
  } else if ("Events" in reply) {
    writer.text("Events");
    writer.map(2);
    writeEvents(writer, reply.Events.events, reply.Events.last_event_id);
  } else if ("TooNew" in reply) {
    writeIds(writer, "TooNew", reply.TooNew);
  } else if ("InvalidRange" in reply) {
    writeIds(writer, "InvalidRange", reply.InvalidRange);
  } else if ("TreeDumpFailed" in reply) {
    writer.text("TreeDumpFailed");
    writer.map(2);
    writer.text("last_event_id");
    writer.u64(reply.TreeDumpFailed.last_event_id);
    writer.text("message");
    writer.text(reply.TreeDumpFailed.message);
  } else {
    writer.text("Error");
    writer.text(reply.Error);
  }
}

function writeEvents(writer: MsgpackWriter, events: readonly RouterEvent[], last: bigint): void {
  writer.text("events");
  writer.array(events.length);
  for (const event of events) writeRouterEvent(writer, event);
  writer.text("last_event_id");
  writer.u64(last);
}

function writeIds(writer: MsgpackWriter, tag: string, ids: Readonly<Record<string, bigint | null>>): void {
  const entries = Object.entries(ids);
  writer.text(tag);
  writer.map(entries.length);
  for (const [name, id] of entries) {
    writer.text(name);
    writeId(writer, id);
  }
}

function writeId(writer: MsgpackWriter, id: bigint | null): void {
  if (id === null) writer.nil();
  else writer.u64(id);
}

/**
 * Reads an answer, wrapped as {@linkcode encodeRecoveryReply} does, from MessagePack.
 *
 * @throws {SyntaxError} If it is none of the answers.
 */
export function decodeRecoveryReply(item: Uint8Array): RecoveryReply {
  const wrapper = fields.object(decodeMsgpack(item), "item");
  const [tag, inner] = Object.entries(fields.object(wrapper.data, "data"))[0] ?? [];
  if (tag === "Error") return { Error: fields.text(inner, tag) };
  const raw = fields.object(inner, "data");
  const id = (name: string) => fields.u64(raw[name], name);
  const maybeId = (name: string) => orNull(raw[name], () => id(name));
  const events = () => fields.list(raw.events, "events").map(readRouterEvent);
  switch (tag) {
    case "TreeDump":
      return {
        TreeDump: {
          events: events(),
          last_event_id: id("last_event_id"),
          reset_scope: fields.oneOf(raw.reset_scope, ["all"], "reset_scope"),
        },
      };
    case "Events":
      return { Events: { events: events(), last_event_id: id("last_event_id") } };
    case "TooNew":
      return {
        TooNew: {
          requested_start: maybeId("requested_start"),
          requested_end: maybeId("requested_end"),
          newest_available: id("newest_available"),
        },
      };
    case "InvalidRange":
      return { InvalidRange: { start_id: id("start_id"), end_id: id("end_id") } };
    case "TreeDumpFailed":
      return {
        TreeDumpFailed: { last_event_id: id("last_event_id"), message: fields.text(raw.message, "message") },
      };
    default:
      throw fields.unreadable(`\`${tag}\` is no answer`);
  }
}
