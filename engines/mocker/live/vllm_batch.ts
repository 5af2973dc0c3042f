/**
 * Batches of KV events as vLLM publishes them, byte for byte as Dynamo's mocker encodes them.
 *
 * @source dynamo-mocker 1.6.1, `services/zmq_events.rs`, `encode_event_batch`
 * @module
 */
import type { KvItem } from "@stator/worker";

/** What all batches of a rank share. */
export interface BatchOptions {
  /** Tokens of a block. @unit tokens */
  readonly blockSize: number;
  /** The rank. */
  readonly dpRank: number;
}

const INITIAL_BYTES = 4096;
const TEXT = new TextEncoder();

/**
 * Encodes a batch.
 *
 * @param timestamp Unix time. @unit seconds
 * @returns The bytes, or `null` if nothing of it can be told: vLLM's events know no cleared cache of a mocker.
 */
export function encodeVllmBatch(
  items: readonly KvItem[],
  timestamp: number,
  { blockSize, dpRank }: BatchOptions,
): Uint8Array | null {
  const told = items.filter(({ type }) => type !== "cleared");
  if (told.length === 0) return null;
  const out = new MsgpackWriter();
  out.array(3);
  out.float(timestamp);
  out.array(told.length);
  for (const item of told) writeEvent(out, item, blockSize);
  out.integer(dpRank);
  return out.bytes();
}

function writeEvent(out: MsgpackWriter, item: KvItem, blockSize: number): void {
  if (item.type === "stored") {
    const { loraName = null, cacheNamespace = null } = item;
    out.map(6 + (loraName === null ? 0 : 1) + (cacheNamespace === null ? 0 : 1));
    out.field("type").text("BlockStored");
    out.field("block_hashes").hashes(item.blockHashes ?? []);
    out.field("parent_block_hash").hash(item.parentHash ?? null);
    out.field("token_ids").integers(item.tokenIds);
    out.field("block_size").integer(blockSize);
    out.field("group_idx").integer(0);
    // The peer says neither, and routers then take the blocks for those of the bare model.
    if (loraName !== null) out.field("lora_name").text(loraName);
    if (cacheNamespace !== null) out.field("cache_salt").text(cacheNamespace);
  } else if (item.type === "removed") {
    out.map(3);
    out.field("type").text("BlockRemoved");
    out.field("block_hashes").hashes(item.blockHashes);
    out.field("group_idx").integer(0);
  }
}

/** Writes MessagePack into a buffer that grows; integers take as few bytes as they can. */
class MsgpackWriter {
  #view = new DataView(new ArrayBuffer(INITIAL_BYTES));
  #length = 0;

  bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  array(count: number): void {
    this.#head(count, 0x90, 0xdc);
  }

  map(count: number): void {
    this.#head(count, 0x80, 0xde);
  }

  field(name: string): this {
    this.text(name);
    return this;
  }

  text(text: string): void {
    const bytes = TEXT.encode(text);
    if (bytes.length < 32) this.#byte(0xa0 | bytes.length);
    else if (bytes.length < 0x100) this.#bytes(0xd9, 1, (at) => this.#view.setUint8(at, bytes.length));
    else this.#bytes(0xda, 2, (at) => this.#view.setUint16(at, bytes.length));
    const at = this.#grow(bytes.length);
    new Uint8Array(this.#view.buffer).set(bytes, at);
  }

  float(value: number): void {
    this.#bytes(0xcb, 8, (at) => this.#view.setFloat64(at, value));
  }

  integers(values: ArrayLike<number>): void {
    this.array(values.length);
    for (let i = 0; i < values.length; i++) this.integer(values[i]!);
  }

  integer(value: number): void {
    if (value < 0x80) this.#byte(value);
    else if (value < 0x100) this.#bytes(0xcc, 1, (at) => this.#view.setUint8(at, value));
    else if (value < 0x1_0000) this.#bytes(0xcd, 2, (at) => this.#view.setUint16(at, value));
    else this.#bytes(0xce, 4, (at) => this.#view.setUint32(at, value));
  }

  hashes(values: ArrayLike<bigint>): void {
    this.array(values.length);
    for (let i = 0; i < values.length; i++) this.hash(values[i]!);
  }

  hash(value: bigint | null): void {
    if (value === null) return this.#byte(0xc0);
    if (value <= 0xffff_ffffn) return this.integer(Number(value));
    this.#bytes(0xcf, 8, (at) => this.#view.setBigUint64(at, value));
  }

  #head(count: number, small: number, wide: number): void {
    if (count < 16) this.#byte(small | count);
    else if (count < 0x1_0000) this.#bytes(wide, 2, (at) => this.#view.setUint16(at, count));
    else this.#bytes(wide + 1, 4, (at) => this.#view.setUint32(at, count));
  }

  #byte(value: number): void {
    this.#view.setUint8(this.#grow(1), value);
  }

  #bytes(type: number, size: number, write: (at: number) => void): void {
    const at = this.#grow(1 + size);
    this.#view.setUint8(at, type);
    write(at + 1);
  }

  #grow(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#view.byteLength) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#view.byteLength));
      grown.set(new Uint8Array(this.#view.buffer, 0, at));
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
