/**
 * KV events: what a worker tells routers about the blocks in its cache.
 *
 * @module
 */
import { FieldReader, orNull } from "./field_reader.ts";
import { MsgpackWriter, packedText } from "./msgpack_writer.ts";
import { decodeMsgpack } from "./payload.ts";

/** Where a block lies. @source dynamo-kv-router 1.6.1, `StorageTier` */
export type StorageTier = "device" | "host_pinned" | "disk" | "external";

/** Whose cache a block is in; workers publish their own. @source dynamo-kv-router 1.6.1, `ResidencyDomain` */
export type ResidencyDomain = "worker" | "cache_owner";

/** One image, video or the like that lies in a block. */
export interface MmObject {
  /** Its identity; mixed into the block's local hash. */
  readonly mm_hash: bigint;
  /** The places its placeholders take, first and one past the last. @unit tokens */
  readonly offsets: readonly (readonly [start: number, end: number])[];
}

/** Multimodal content of a block. */
export interface MmInfo {
  /** What lies in it, in any order. */
  readonly mm_objects: readonly MmObject[];
}

/** One block that was stored. */
export interface StoredBlock {
  /** Names the block at its place in its sequence; any unsigned 64-bit integer the worker uses for nothing else. */
  readonly block_hash: bigint;
  /** Local hash of its tokens, which routers match prompts with. */
  readonly tokens_hash: bigint;
  /** Its multimodal content. */
  readonly mm_extra_info: MmInfo | null;
}

/** Blocks that were stored, each the successor of the one before. */
export interface StoredData {
  /** `block_hash` of the block before the first; `null` at the beginning of a sequence. */
  readonly parent_hash: bigint | null;
  /** Place of the first block in its sequence, where known. @unit blocks */
  readonly start_position: number | null;
  /** The blocks. */
  readonly blocks: readonly StoredBlock[];
}

/** What happened; exactly one of three. @source dynamo-kv-router 1.6.1, `KvCacheEventData` */
export type KvEventData =
  | { readonly stored: StoredData }
  | { readonly removed: { readonly block_hashes: readonly bigint[] } }
  | "cleared";

/** One event as routers get it. @source dynamo-kv-router 1.6.1, `RouterEvent` */
export interface RouterEvent {
  /** The worker; a router drops the whole batch if it is not the source's. */
  readonly worker_id: bigint;
  /** Where the blocks lie. */
  readonly storage_tier: StorageTier;
  /** Whose cache it is about; absent counts as the worker's, and makes `cleared` mean all. */
  readonly residency_domain?: ResidencyDomain;
  /** The event. */
  readonly event: {
    /** Counts this publisher's events without a gap. */
    readonly event_id: bigint;
    /** What happened. */
    readonly data: KvEventData;
    /** Data-parallel rank; a router drops the batch if it is not the source's. */
    readonly dp_rank: number;
  };
  /** Session of the request that stored the blocks. */
  readonly session_id?: string;
}

const TIERS = ["device", "host_pinned", "disk", "external"] as const;
const DOMAINS = ["worker", "cache_owner"] as const;

// Events go out by the thousand a second, so all that never changes is encoded once.
const key = packedText;
const WORKER_ID = key("worker_id");
const STORAGE_TIER = key("storage_tier");
const RESIDENCY_DOMAIN = key("residency_domain");
const EVENT = joined([key("event"), Uint8Array.of(0x83), key("event_id")]);
const DATA = key("data");
const STORED = joined([Uint8Array.of(0x81), key("stored"), Uint8Array.of(0x83), key("parent_hash")]);
const START_POSITION = key("start_position");
const BLOCKS = key("blocks");
const BLOCK_HASH = joined([Uint8Array.of(0x83), key("block_hash")]);
const TOKENS_HASH = key("tokens_hash");
const MM_EXTRA_INFO = key("mm_extra_info");
const NO_MM_EXTRA_INFO = joined([MM_EXTRA_INFO, Uint8Array.of(0xc0)]);
const MM_OBJECTS = joined([Uint8Array.of(0x81), key("mm_objects")]);
const MM_HASH = joined([Uint8Array.of(0x82), key("mm_hash")]);
const OFFSETS = key("offsets");
const REMOVED = joined([Uint8Array.of(0x81), key("removed"), Uint8Array.of(0x81), key("block_hashes")]);
const CLEARED = key("cleared");
const DP_RANK = key("dp_rank");
const SESSION_ID = key("session_id");
const NAMES = new Map([...TIERS, ...DOMAINS].map((name) => [name, key(name)]));

const shared = new MsgpackWriter();

/** Encodes a batch of events, the payload of the topic `kv-events`. */
export function encodeKvEvents(events: readonly RouterEvent[]): Uint8Array {
  shared.clear();
  shared.array(events.length);
  for (const event of events) writeRouterEvent(shared, event);
  return shared.toBytes();
}

/** Writes one event in the member order of the reference worker. */
export function writeRouterEvent(writer: MsgpackWriter, event: RouterEvent): void {
  const { residency_domain, session_id } = event;
  writer.map(3 + (residency_domain === undefined ? 0 : 1) + (session_id === undefined ? 0 : 1));
  writer.raw(WORKER_ID);
  writer.u64(event.worker_id);
  writer.raw(STORAGE_TIER);
  writer.raw(NAMES.get(event.storage_tier)!);
  if (residency_domain !== undefined) {
    writer.raw(RESIDENCY_DOMAIN);
    writer.raw(NAMES.get(residency_domain)!);
  }
  writer.raw(EVENT);
  writer.u64(event.event.event_id);
  writer.raw(DATA);
  writeData(writer, event.event.data);
  writer.raw(DP_RANK);
  writer.uint(event.event.dp_rank);
  if (session_id !== undefined) {
    writer.raw(SESSION_ID);
    writer.text(session_id);
  }
}

function writeData(writer: MsgpackWriter, data: KvEventData): void {
  if (data === "cleared") writer.raw(CLEARED);
  else if ("stored" in data) writeStored(writer, data.stored);
  else {
    const hashes = data.removed.block_hashes;
    writer.raw(REMOVED);
    writer.array(hashes.length);
    for (const hash of hashes) writer.u64(hash);
  }
}

function writeStored(writer: MsgpackWriter, { parent_hash, start_position, blocks }: StoredData): void {
  writer.raw(STORED);
  if (parent_hash === null) writer.nil();
  else writer.u64(parent_hash);
  writer.raw(START_POSITION);
  if (start_position === null) writer.nil();
  else writer.uint(start_position);
  writer.raw(BLOCKS);
  writer.array(blocks.length);
  for (const block of blocks) {
    writer.raw(BLOCK_HASH);
    writer.u64(block.block_hash);
    writer.raw(TOKENS_HASH);
    writer.u64(block.tokens_hash);
    if (block.mm_extra_info === null) writer.raw(NO_MM_EXTRA_INFO);
    else writeMmInfo(writer, block.mm_extra_info);
  }
}

function writeMmInfo(writer: MsgpackWriter, info: MmInfo): void {
  writer.raw(MM_EXTRA_INFO);
  writer.raw(MM_OBJECTS);
  writer.array(info.mm_objects.length);
  for (const { mm_hash, offsets } of info.mm_objects) {
    writer.raw(MM_HASH);
    writer.u64(mm_hash);
    writer.raw(OFFSETS);
    writer.array(offsets.length);
    for (const [start, end] of offsets) {
      writer.array(2);
      writer.uint(start);
      writer.uint(end);
    }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const fields = new FieldReader("KV events");

/**
 * Reads a batch of events as a router does: what may be left out may be left out, unknown members are dropped.
 *
 * @throws {SyntaxError} If a router could not read it either.
 */
export function decodeKvEvents(payload: Uint8Array): RouterEvent[] {
  let value: unknown;
  try {
    value = decodeMsgpack(payload);
  } catch (cause) {
    throw fields.unreadable("not MessagePack", cause);
  }
  return fields.list(value, "events").map(readRouterEvent);
}

/**
 * Reads one event of a decoded message.
 *
 * @throws {SyntaxError} If a router could not read it either.
 */
export function readRouterEvent(value: unknown): RouterEvent {
  const raw = fields.object(value, "event");
  const event = fields.object(raw.event, "event.event");
  const { residency_domain, session_id } = raw;
  return {
    worker_id: fields.u64(raw.worker_id, "worker_id"),
    storage_tier: raw.storage_tier === undefined ? "device" : fields.oneOf(raw.storage_tier, TIERS, "storage_tier"),
    ...(residency_domain === undefined
      ? {}
      : { residency_domain: fields.oneOf(residency_domain, DOMAINS, "residency_domain") }),
    event: {
      event_id: fields.u64(event.event_id, "event_id"),
      data: readData(event.data),
      dp_rank: event.dp_rank === undefined ? 0 : fields.u32(event.dp_rank, "dp_rank"),
    },
    ...(session_id === undefined || session_id === null ? {} : { session_id: fields.text(session_id, "session_id") }),
  };
}

function readData(value: unknown): KvEventData {
  if (value === "cleared") return value;
  const entries = Object.entries(fields.object(value, "data"));
  const [tag, inner] = entries[0] ?? [];
  if (entries.length !== 1 || (tag !== "stored" && tag !== "removed")) {
    throw fields.unreadable("`data` is none of stored, removed, cleared");
  }
  const raw = fields.object(inner, tag);
  if (tag === "removed") {
    const hashes = fields.list(raw.block_hashes, "block_hashes");
    return { removed: { block_hashes: hashes.map((hash) => fields.u64(hash, "block_hashes[]")) } };
  }
  return {
    stored: {
      parent_hash: orNull(raw.parent_hash, (hash) => fields.u64(hash, "parent_hash")),
      start_position: orNull(raw.start_position, (place) => fields.u32(place, "start_position")),
      blocks: fields.list(raw.blocks, "blocks").map(readBlock),
    },
  };
}

function readBlock(value: unknown): StoredBlock {
  const raw = fields.object(value, "blocks[]");
  return {
    block_hash: fields.u64(raw.block_hash, "block_hash"),
    tokens_hash: fields.u64(raw.tokens_hash, "tokens_hash"),
    mm_extra_info: orNull(raw.mm_extra_info, readMmInfo),
  };
}

/**
 * Reads the multimodal content of a block in a decoded message.
 *
 * @throws {SyntaxError} If it has another shape.
 */
export function readMmInfo(value: unknown): MmInfo {
  const objects = fields.list(fields.object(value, "mm_extra_info").mm_objects, "mm_objects");
  return { mm_objects: objects.map(readMmObject) };
}

function readMmObject(value: unknown): MmObject {
  const raw = fields.object(value, "mm_objects[]");
  const offsets = fields.list(raw.offsets, "offsets").map((item) => {
    const [start, end, ...more] = fields.list(item, "offsets[]");
    if (more.length > 0) throw fields.unreadable("`offsets[]` is not a pair");
    return [fields.u32(start, "offsets[][0]"), fields.u32(end, "offsets[][1]")] as const;
  });
  return { mm_hash: fields.u64(raw.mm_hash, "mm_hash"), offsets };
}
