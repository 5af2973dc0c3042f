/**
 * What a frontend demands of a model card before it looks at the files.
 *
 * @module
 */

/** Surfaces in the order in which a card lists them; the position is the bit. @source dynamo-llm 1.6.1, `ModelType` */
export const MODEL_FLAGS = [
  "Chat",
  "Completions",
  "Embedding",
  "TensorBased",
  "Prefill",
  "Images",
  "Audios",
  "Videos",
  "Realtime",
  "Classify",
  "Pooling",
  "Rerank",
] as const;

const WORKER_TYPES: readonly unknown[] = ["prefill", "decode", "encode", "aggregated"];
const MODEL_INPUTS: readonly unknown[] = ["Text", "Tokens", "Tensor"];
const CHECKSUM = /^blake3:[0-9a-f]{64}$/;
const FILE_SLOTS = ["model_info", "tokenizer", "prompt_formatter", "chat_template_file", "gen_config"] as const;

/**
 * Checks the fields without which a card is refused.
 *
 * Parsers, ranks and addresses are not checked, as in a frontend; nor is anything that a later version may add.
 *
 * @throws {SyntaxError} That names the field.
 * @source dynamo-llm 1.6.1, `ModelDeploymentCard`
 */
export function assertModelCard(card: Readonly<Record<string, unknown>>): void {
  for (const name of ["display_name", "slug", "model_type"]) {
    if (typeof required(card, name) !== "string") throw unreadable(`\`${name}\` is not a string`);
  }
  for (const name of ["kv_cache_block_size", "migration_limit"]) {
    if (!isU32(required(card, name))) throw unreadable(`\`${name}\` is not an unsigned 32-bit integer`);
  }
  if (card.display_name === "") throw unreadable("model name cannot be empty");
  if (!/^[a-z0-9_-]*$/.test(card.slug as string)) {
    throw unreadable("`slug` can only contain a-z, 0-9, - and _");
  }
  assertModelType(card.model_type as string);
  if (!MODEL_INPUTS.includes(required(card, "model_input"))) {
    throw unreadable("`model_input` is not one of Text, Tokens, Tensor");
  }
  assertWorkerTypes(card);
  for (const slot of FILE_SLOTS) assertFile(card[slot], slot);
  assertFile(card.extra_files, "extra_files");
}

/** Flags by name, or a hexadecimal number, in any order. */
function assertModelType(text: string): void {
  for (const name of text.split("|").map((part) => part.trim())) {
    if (name === "" && text.trim() === "") continue;
    if (/^0x[0-9a-fA-F]+$/.test(name)) continue;
    if (!MODEL_FLAGS.some((flag) => flag === name)) {
      throw unreadable(`\`model_type\` has an unrecognized named flag \`${name}\``);
    }
  }
}

function assertWorkerTypes(card: Readonly<Record<string, unknown>>): void {
  const needs = card.needs ?? [];
  const lists = Array.isArray(needs) && needs.every((inner) => Array.isArray(inner)) ? needs as unknown[][] : null;
  if (lists === null) throw unreadable("`needs` is not an array of arrays");
  for (const type of [card.worker_type ?? "aggregated", ...lists.flat()]) {
    if (!WORKER_TYPES.includes(type)) {
      throw unreadable(`worker type ${JSON.stringify(type)} is not one of ${WORKER_TYPES.join(", ")}`);
    }
  }
}

/** Finds the file objects of a slot, however deep, and checks them. */
function assertFile(value: unknown, slot: string): void {
  if (typeof value !== "object" || value === null) return;
  const { checksum } = value as { checksum?: unknown };
  if (checksum === undefined && !("path" in value)) {
    for (const inner of Object.values(value)) assertFile(inner, slot);
    return;
  }
  if (typeof (value as { path?: unknown }).path !== "string") throw unreadable(`\`${slot}\` has a file without path`);
  if (typeof checksum !== "string" || !CHECKSUM.test(checksum)) {
    throw unreadable(`\`${slot}\`: expected 64-char lowercase hex blake3 digest`);
  }
}

function required(card: Readonly<Record<string, unknown>>, name: string): unknown {
  if (card[name] === undefined) throw unreadable(`missing field \`${name}\``);
  return card[name];
}

function isU32(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;
}

function unreadable(what: string): SyntaxError {
  return new SyntaxError(`Cannot read model card: ${what}`);
}
