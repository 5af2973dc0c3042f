/**
 * The marks that routers choose and avoid workers by.
 *
 * @module
 */
import type { ModelCard } from "../protocol/model_card.ts";
import { encodeText } from "../protocol/payload.ts";

/** Taints that follow from where a worker stands; operators cannot set them. */
const TOPOLOGY_PREFIX = "dynamo.topology/";

/**
 * Reads `{ taints: [...] }`: without duplicates, in order of their bytes.
 *
 * @throws {TypeError} If it is anything else, or names a taint that is not for operators.
 * @source dynamo-backend-common 1.6.1, `worker.rs`, `parse_model_taint_update_request`
 */
export function parseTaints(body: unknown): string[] {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new TypeError("request body must be a JSON object");
  }
  const { taints } = body as { taints?: unknown };
  if (!Array.isArray(taints) || !taints.every((taint) => typeof taint === "string")) {
    throw new TypeError("'taints' must be a JSON array of strings");
  }
  const reserved = taints.find((taint) => taint.startsWith(TOPOLOGY_PREFIX));
  if (reserved !== undefined) {
    throw new TypeError(`taint '${reserved}' uses reserved prefix '${TOPOLOGY_PREFIX}'`);
  }
  return inByteOrder(taints);
}

/** The card with these taints, besides those of topology that it has, instead of any others. */
export function withTaints(card: ModelCard, taints: readonly string[]): ModelCard {
  const { taints: before = [], stable_routing_id, max_gpu_lora_count, ...rest } = card.runtime_config;
  const all = inByteOrder([...before.filter((taint) => taint.startsWith(TOPOLOGY_PREFIX)), ...taints]);
  // Members stand in the order in which a stock worker writes them, which leaves an empty set out.
  const runtime_config = {
    ...rest,
    ...(all.length === 0 ? {} : { taints: all }),
    ...(stable_routing_id === undefined ? {} : { stable_routing_id }),
    ...(max_gpu_lora_count === undefined ? {} : { max_gpu_lora_count }),
  };
  return { ...card, runtime_config };
}

function inByteOrder(texts: readonly string[]): string[] {
  return [...new Set(texts)].map((text) => ({ text, bytes: encodeText(text) }))
    .sort((a, b) => compare(a.bytes, b.bytes)).map(({ text }) => text);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at === -1 ? a.length - b.length : a[at]! - (b[at] ?? -1);
}
