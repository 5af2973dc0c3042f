/**
 * The model sum (`mdcsum`): workers of one model, endpoint and role must have the same one.
 *
 * @module
 */
import { blake3 } from "@noble/hashes/blake3.js";
import { blake3Hex } from "./checksum.ts";
import { effectiveContextLength, type ModelCard, type WorkerType } from "./model_card.ts";
import { encodeText, stringifyJson } from "./payload.ts";

const WORKER_TYPE_BYTES: Readonly<Record<WorkerType, number>> = { prefill: 1, decode: 2, encode: 3, aggregated: 4 };
const PROMPT_CONTEXTS: Readonly<Record<string, string>> = { oai_chat: "OaiChat", llama3_date_time: "Llama3DateTime" };
/** `runtime_data` switches that are part of the sum when on. */
const SWITCHES = ["vllm_enable_tower_connector_lora", "vllm_inference_v1_generate"] as const;
const VIDEO_CONTRACT = "vllm_nemotron_video_processor_contract";

/**
 * The checksum that each frontend derives from a card; it is not stored in the card.
 *
 * @returns 64 lower-case hexadecimal digits.
 * @source dynamo-llm 1.6.1, `ModelDeploymentCard::mdcsum`
 */
export function modelSum(card: ModelCard): string {
  return blake3Hex(modelSumBytes(card));
}

/** The bytes that {@linkcode modelSum} hashes. */
export function modelSumBytes(card: ModelCard): Uint8Array {
  const out = new ByteList();
  out.text(card.display_name);
  if (card.source_path !== undefined) out.text(card.source_path);
  for (const checksum of slotChecksums(card)) out.text(checksum);
  for (const [name, digest] of extraFiles(card)) out.text(name).bytes(0).text(digest);
  if (card.prompt_context !== undefined && card.prompt_context !== null) {
    out.text(`[${card.prompt_context.map((name) => PROMPT_CONTEXTS[name] ?? name).join(", ")}]`);
  }
  out.u32(effectiveContextLength(card)).u32(card.kv_cache_block_size);
  out.bytes(workerTypeByte(card.worker_type));
  const needs = card.needs ?? [];
  out.u32(needs.length);
  for (const inner of needs) out.u32(inner.length).bytes(...inner.map(workerTypeByte));
  if (card.router_config !== undefined && card.router_config !== null) {
    out.bytes(...blake3(encodeText(stringifyJson(card.router_config))));
  }
  addIndexerIdentity(out, card.indexer_identity);
  const aliases = card.aliases ?? [];
  if (aliases.length > 0) {
    out.u32(aliases.length);
    for (const alias of aliases) out.u32(encodeText(alias).length).text(alias);
  }
  addRuntimeData(out, card.runtime_config.runtime_data ?? {});
  return out.join();
}

/** The checksums of the typed slots, in the order of the sum. */
function slotChecksums(card: ModelCard): string[] {
  const slots: readonly unknown[] = [
    card.model_info,
    card.tokenizer,
    card.prompt_formatter,
    card.chat_template_file,
    card.gen_config,
  ];
  return slots.flatMap((slot) => typeof slot === "object" && slot !== null ? [slotChecksum(slot)] : []);
}

/** The slot is an object of one member: a file, or a template that holds one. */
function slotChecksum(slot: object): string {
  const inner = Object.values(slot)[0] as { checksum?: string; file?: { checksum: string } };
  return inner.checksum ?? inner.file?.checksum ?? "";
}

/** Name and bare digest of each extra file, sorted by bytes. */
function extraFiles(card: ModelCard): [string, string][] {
  const pairs = (card.extra_files ?? []).map(({ path, checksum }): [string, string] => {
    return [path.slice(path.lastIndexOf("/") + 1), checksum.replace(/^blake3:/, "")];
  });
  return pairs.sort(([a], [b]) => compareBytes(encodeText(a), encodeText(b)));
}

function addIndexerIdentity(out: ByteList, identity: ModelCard["indexer_identity"]): void {
  if (identity === undefined || identity === null) return;
  out.text("dynamo/model-card/indexer-identity/v1");
  for (const part of [identity.semantics, identity.routing_scope]) {
    if (part === undefined || part === null) {
      out.bytes(0);
      continue;
    }
    const entries = Object.entries(part).sort(([a], [b]) => compareBytes(encodeText(a), encodeText(b)));
    out.bytes(1).u32(entries.length, true);
    for (const text of entries.flat()) out.u32(encodeText(text).length, true).text(text);
  }
}

function addRuntimeData(out: ByteList, data: Readonly<Record<string, unknown>>): void {
  for (const name of SWITCHES) {
    if (isTrue(data[name])) out.bytes(0).text(name).bytes(0).text("true");
  }
  const contract = data[VIDEO_CONTRACT];
  if (contract === undefined) return;
  const value = stringifyJson(sortKeys(contract));
  out.bytes(0).text("dynamo/model-card/runtime-contract/v1").bytes(0);
  for (const text of [VIDEO_CONTRACT, value]) out.u64(encodeText(text).length).text(text);
}

function isTrue(value: unknown): boolean {
  return value === true || (typeof value === "string" && /^\s*(1|true|on|yes)\s*$/i.test(value));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => compareBytes(encodeText(a), encodeText(b)));
  return Object.fromEntries(entries.map(([name, item]) => [name, sortKeys(item)]));
}

function workerTypeByte(type: WorkerType | null | undefined): number {
  return type === null || type === undefined ? 0 : WORKER_TYPE_BYTES[type];
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return (a[i] ?? 0) - (b[i] ?? 0);
  }
  return a.length - b.length;
}

/** Bytes in the making; each call adds some and returns the list. Integers are big-endian unless said otherwise. */
class ByteList {
  readonly #parts: Uint8Array[] = [];

  bytes(...values: number[]): ByteList {
    this.#parts.push(Uint8Array.from(values));
    return this;
  }

  text(value: string): ByteList {
    this.#parts.push(encodeText(value));
    return this;
  }

  u32(value: number, littleEndian = false): ByteList {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, value, littleEndian);
    return this.bytes(...new Uint8Array(view.buffer));
  }

  u64(value: number): ByteList {
    return this.u32(Math.floor(value / 2 ** 32)).u32(value >>> 0);
  }

  join(): Uint8Array {
    const whole = new Uint8Array(this.#parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
