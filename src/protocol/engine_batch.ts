/**
 * KV events as inference engines publish them over ZMQ, in vLLM's and SGLang's shapes.
 *
 * @module
 */
import { FieldReader, orNull } from "./field_reader.ts";
import { type MmInfo, readMmInfo } from "./kv_event.ts";
import { decodeMsgpack } from "./payload.ts";

/** What an engine says about the place and kind of blocks; absent members are `null`. */
export interface EngineBlockPlace {
  /** Kind of memory, such as `GPU`. */
  readonly medium: string | null;
  /** Group of cache layers. */
  readonly group_idx: number | null;
  /** Kind of attention of the group, such as `full_attention`. */
  readonly kv_cache_spec_kind: string | null;
  /** `LOCAL` or `REMOTE`. */
  readonly locality: string | null;
  /** Who manages the blocks. */
  readonly ownership: string | null;
}

/** Blocks an engine stored. */
export interface EngineBlockStored extends EngineBlockPlace {
  /** Tells it from the others. */
  readonly type: "BlockStored";
  /** The engine's names of the blocks; signed ones as two's complement. */
  readonly block_hashes: readonly bigint[];
  /** Name of the block before the first. */
  readonly parent_block_hash: bigint | null;
  /** Tokens of the blocks; with bigrams one more than the blocks hold. */
  readonly token_ids: Uint32Array;
  /** Whether the tokens came as bigrams, as Eagle drafting has them. */
  readonly is_bigram: boolean;
  /** Tokens a block holds. @unit tokens */
  readonly block_size: number;
  /** LoRA adapter. */
  readonly lora_name: string | null;
  /** Keeps prefix caches of tenants apart. */
  readonly cache_salt: string | null;
  /** Multimodal content by block. */
  readonly block_mm_infos: readonly (MmInfo | null)[];
  /** Session of the request. */
  readonly session_id: string | null;
}

/** Blocks an engine dropped. */
export interface EngineBlockRemoved extends EngineBlockPlace {
  /** Tells it from the others. */
  readonly type: "BlockRemoved";
  /** The engine's names of the blocks. */
  readonly block_hashes: readonly bigint[];
}

/** An engine dropped all its blocks. */
export interface EngineBlocksCleared {
  /** Tells it from the others. */
  readonly type: "AllBlocksCleared";
  /** Who manages the blocks. */
  readonly ownership: string | null;
}

/** An event that says nothing to a router; also any kind that is not known. */
export interface EngineEventIgnored {
  /** Tells it from the others. */
  readonly type: "Ignored";
}

/** One event of an engine. @source dynamo-llm 1.6.1, `RawKvEvent` */
export type EngineEvent = EngineBlockStored | EngineBlockRemoved | EngineBlocksCleared | EngineEventIgnored;

/** What an engine publishes in one message. @source dynamo-llm 1.6.1, `KvEventBatch` */
export interface EngineBatch {
  /** When. @unit seconds */
  readonly ts: number;
  /** What happened, in order. */
  readonly events: readonly EngineEvent[];
  /** On which rank; an engine that says nothing means 0. */
  readonly data_parallel_rank: number;
}

/** One message of an engine's socket. */
export interface EngineMessage {
  /** Counts the socket's messages. */
  readonly sequence: bigint;
  /** MessagePack of the batch, for {@linkcode decodeEngineBatch}. */
  readonly batch: Uint8Array;
}

const fields = new FieldReader("engine KV events");
const SEQUENCE_BYTES = 8;
const END_OF_REPLAY = 0xffff_ffff_ffff_ffffn;

/**
 * Takes a message of an engine apart: topic, sequence, batch. The topic may be anything.
 *
 * @throws {SyntaxError} If it has not three frames or a sequence of another length.
 */
export function splitEngineFrames(frames: readonly Uint8Array[]): EngineMessage {
  const [, sequence, batch] = frames;
  if (frames.length !== 3 || !sequence || !batch) throw fields.unreadable(`${frames.length} ZMQ frames, not 3`);
  return { sequence: readSequence(sequence), batch };
}

/** The frames that ask an engine's replay socket for its messages from one on. */
export function encodeReplayRequest(start: bigint): Uint8Array[] {
  const sequence = new Uint8Array(SEQUENCE_BYTES);
  new DataView(sequence.buffer).setBigUint64(0, start);
  return [new Uint8Array(0), sequence];
}

/**
 * Takes an answer of an engine's replay socket apart; `null` says there are no more.
 *
 * @throws {SyntaxError} If it has fewer than three frames or more than four, or a sequence of another length.
 */
export function splitReplayFrames(frames: readonly Uint8Array[]): EngineMessage | null {
  const [sequence, batch] = frames.slice(-2);
  if (frames.length < 3 || frames.length > 4 || !sequence || !batch) {
    throw fields.unreadable(`${frames.length} ZMQ frames of a replay, not 3 or 4`);
  }
  const number = readSequence(sequence);
  return number === END_OF_REPLAY ? null : { sequence: number, batch };
}

function readSequence(frame: Uint8Array): bigint {
  if (frame.length !== SEQUENCE_BYTES) throw fields.unreadable(`sequence of ${frame.length} bytes, not 8`);
  return new DataView(frame.buffer, frame.byteOffset).getBigUint64(0);
}

/**
 * Reads a batch. Events may be maps or arrays; members an event does not know are dropped.
 *
 * @throws {SyntaxError} If anything in it has another shape; nothing of such a batch counts.
 */
export function decodeEngineBatch(bytes: Uint8Array): EngineBatch {
  let value: unknown;
  try {
    value = decodeMsgpack(bytes);
  } catch (cause) {
    throw fields.unreadable("not MessagePack", cause);
  }
  const batch = fields.list(value, "batch");
  if (batch.length !== 3) throw fields.unreadable(`a batch of ${batch.length} members, not 3: time, events, rank`);
  return {
    ts: fields.number(batch[0], "ts"),
    events: fields.list(batch[1], "events").map(readEvent),
    data_parallel_rank: orNull(batch[2], (rank) => fields.u32(rank, "data_parallel_rank")) ?? 0,
  };
}

type Raw = Readonly<Record<string, unknown>>;

/** Names of the members of an event that is an array, after its tag. @source dynamo-llm 1.6.1, `RawKvEvent` */
const POSITIONS: Readonly<Record<string, readonly string[]>> = {
  BlockStored: [
    ...["block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name", "extra_keys"],
    ...["group_idx", "kv_cache_spec_kind", "kv_cache_spec_sliding_window", "locality", "ownership"],
  ],
  BlockRemoved: [
    ...["block_hashes", "medium", "group_idx", "kv_cache_spec_kind", "kv_cache_spec_sliding_window"],
    ...["locality", "ownership"],
  ],
  AllBlocksCleared: ["ownership"],
};
/** From here on older engines put their members without order. */
const FIRST_LOOSE_POSITION = 8;

function readEvent(value: unknown): EngineEvent {
  const raw = Array.isArray(value) ? named(value) : fields.object(value, "event");
  switch (fields.text(raw.type, "type")) {
    case "BlockStored":
      return readStored(raw);
    case "BlockRemoved":
      return { type: "BlockRemoved", block_hashes: readHashes(raw.block_hashes), ...readPlace(raw) };
    case "AllBlocksCleared":
      return { type: "AllBlocksCleared", ownership: maybeText(raw, "ownership") };
    default:
      return { type: "Ignored" };
  }
}

/** An event that is an array, as a map. */
function named(items: readonly unknown[]): Raw {
  const type = fields.text(items[0], "type");
  const raw: Record<string, unknown> = { type };
  for (const [i, name] of (POSITIONS[type] ?? []).entries()) {
    const item = items[i + 1];
    if (type === "BlockStored" && typeof item === "object" && item !== null) {
      if (name === "lora_name" || (i >= FIRST_LOOSE_POSITION && !Array.isArray(item))) {
        Object.assign(raw, fields.object(item, name));
        continue;
      }
      if (i >= FIRST_LOOSE_POSITION) {
        raw.block_mm_infos = item;
        continue;
      }
    }
    raw[name] = item;
  }
  return raw;
}

function readStored(raw: Raw): EngineBlockStored {
  const { token_ids, is_bigram } = readTokens(fields.list(raw.token_ids, "token_ids"));
  const extraKeys = readExtraKeys(raw.extra_keys);
  const infos = orNull(raw.block_mm_infos, (value) => fields.list(value, "block_mm_infos"));
  return {
    type: "BlockStored",
    block_hashes: readHashes(raw.block_hashes),
    parent_block_hash: orNull(raw.parent_block_hash, readHash),
    token_ids,
    is_bigram,
    block_size: fields.u32(raw.block_size, "block_size"),
    lora_name: maybeText(raw, "lora_name"),
    cache_salt: maybeText(raw, "cache_salt") ?? extraKeys.salt,
    block_mm_infos: infos?.map((info) => orNull(info, readMmInfo)) ?? extraKeys.mmInfos,
    session_id: maybeText(raw, "session_id"),
    ...readPlace(raw),
  };
}

function readPlace(raw: Raw): EngineBlockPlace {
  return {
    medium: maybeText(raw, "medium"),
    group_idx: orNull(raw.group_idx, (value) => fields.u32(value, "group_idx")),
    kv_cache_spec_kind: maybeText(raw, "kv_cache_spec_kind"),
    locality: maybeText(raw, "locality"),
    ownership: maybeText(raw, "ownership"),
  };
}

function maybeText(raw: Raw, name: string): string | null {
  return orNull(raw[name], (value) => fields.text(value, name));
}

function readHashes(value: unknown): bigint[] {
  return fields.list(value, "block_hashes").map(readHash);
}

function readHash(value: unknown): bigint {
  const isInteger = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!isInteger) throw fields.unreadable("a block hash is no 64-bit integer; the engine must be set to publish those");
  return BigInt.asUintN(64, BigInt(value as bigint | number));
}

function readTokens(items: readonly unknown[]): { readonly token_ids: Uint32Array; readonly is_bigram: boolean } {
  if (!Array.isArray(items[0])) return { token_ids: tokens(items), is_bigram: false };
  const pairs = items.map((item) => {
    const pair = fields.list(item, "token_ids[]");
    if (pair.length !== 2) throw fields.unreadable(`a bigram of ${pair.length} tokens`);
    return pair;
  });
  return { token_ids: tokens([...pairs.map(([first]) => first), pairs.at(-1)![1]]), is_bigram: true };
}

function tokens(items: readonly unknown[]): Uint32Array {
  const ids = new Uint32Array(items.length);
  for (let i = 0; i < ids.length; i++) ids[i] = fields.u32(items[i], "token_ids[]");
  return ids;
}

const SALT_PREFIX = "dynamo-cache-salt:";
/** A hash of an image: 16 digits, and zeros up to 64. */
const MM_HASH = /^([0-9a-f]{16})0{48}$/i;

/** What a router needs of vLLM's extra keys: hashes of images, and the cache salt of the first block. */
function readExtraKeys(value: unknown): { readonly salt: string | null; readonly mmInfos: (MmInfo | null)[] } {
  if (value === undefined || value === null) return { salt: null, mmInfos: [] };
  const blocks = fields.list(value, "extra_keys").map((keys) =>
    orNull(keys, (list) => fields.list(list, "extra_keys[]")) ?? []
  );
  const salt = blocks[0]?.find((item) => typeof item === "string" && item.startsWith(SALT_PREFIX)) ?? null;
  return {
    salt: salt === null ? null : (salt as string).slice(SALT_PREFIX.length),
    mmInfos: blocks.map((keys) => {
      const mm_objects = keys.flatMap((item) => {
        const text: unknown = Array.isArray(item) ? item[0] : item;
        const digits = typeof text === "string" ? MM_HASH.exec(text)?.[1] : undefined;
        return digits === undefined ? [] : [{ mm_hash: BigInt(`0x${digits}`), offsets: [] }];
      });
      return mm_objects.length === 0 ? null : { mm_objects };
    }),
  };
}
