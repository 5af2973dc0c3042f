/**
 * The option that constrains tool calls while they are generated.
 *
 * @module
 */
import type { StructuralTag } from "../protocol/model_card.ts";
import { parseJson } from "../protocol/payload.ts";
import { UsageError } from "./command_line.ts";

const ON = ["true", "1", "yes", "on"];
const OFF = ["false", "0", "no", "off"];
/** A tag that is set by an option applies to all tool calls unless it says otherwise. */
const DEFAULTS: StructuralTag = { scope: "always" };

/**
 * Reads the option: a tag as it is, `true` for one with defaults, `false` for none, or a JSON object. The card refuses
 * members it does not know.
 *
 * @throws {UsageError} If it is none of these.
 * @source dynamo 1.6.1, `runtime_args.py`, `_parse_structural_tag`
 */
export function parseStructuralTag(setting: string | StructuralTag): StructuralTag | undefined {
  const value = typeof setting === "string" ? parse(setting) : setting;
  return value === undefined ? undefined : { ...DEFAULTS, ...value };
}

function parse(text: string): StructuralTag | undefined {
  const word = text.trim().toLowerCase();
  if (OFF.includes(word)) return undefined;
  if (ON.includes(word)) return {};
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    value = null;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`--dyn-structural-tag: ${JSON.stringify(text)} is not true, false or a JSON object`);
}
