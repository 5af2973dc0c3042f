/**
 * The wire form of errors: its members, their order and their bounds.
 *
 * @module
 */
import type { ErrorIdentity } from "./error_catalogue.ts";

/** Text that clients may see. */
export interface PublicMessage {
  /** Always `message`. */
  readonly type: "message";
  /** The text. */
  readonly message: string;
}

/** A limit that the request exceeds, told to clients in numbers. */
export interface PublicLimit {
  /** What is limited: bytes of the request, or tokens of the context. */
  readonly type: "size_limit" | "context_length";
  /** The limit. */
  readonly limit: number | bigint;
  /** What the request asked for, if that is known. */
  readonly actual?: number | bigint | null;
}

/** A limit on how often a client may ask. */
export interface PublicRateLimit {
  /** Always `rate_limit`. */
  readonly type: "rate_limit";
  /** Requests allowed, if that is known. */
  readonly limit?: number | bigint | null;
  /** Requests left, if that is known. */
  readonly remaining?: number | bigint | null;
}

/**
 * What clients may see of an error. All else is for operators.
 *
 * @source dynamo-runtime 1.6.1, `error.rs`, `PublicDetails`
 */
export type PublicDetails = PublicMessage | PublicLimit | PublicRateLimit;

/** An error as it travels. Keys stand in the order of the reference worker. */
export interface WireError {
  /** Older name; backend kinds are an object. All that readers before Dynamo 1.6 know beside `message`. */
  readonly error_type: { readonly Backend: string } | string;
  /** Canonical class. */
  readonly class?: string;
  /** Catalogue key; belongs to the class. */
  readonly reason?: string;
  /** Text for operators. */
  readonly message: string;
  /** The same text again. */
  readonly diagnostic?: string;
  /** All that clients see. */
  readonly public?: PublicDetails;
  /** What led to it. */
  readonly caused_by?: WireError;
}

/** What a {@linkcode WireError} is made of. */
export interface WireErrorParts extends ErrorIdentity {
  /** See {@linkcode WireError}. */
  readonly errorType: WireError["error_type"];
  /** Text for operators; cut when it is too long. */
  readonly message: string;
  /** What clients may see. */
  readonly publicDetails: PublicDetails | null;
  /** What led to it. */
  readonly causedBy: WireError | null;
}

/** Longest text on the wire. @unit bytes @source dynamo-runtime 1.6.1, `Diagnostic::MAX_BYTES` */
const MAX_TEXT_BYTES = 4096;
const TRUNCATED = "...[truncated]";

/** Most errors of a chain that are written or read; what lies deeper is left out. */
export const MAX_CHAIN = 16;

/** Puts an error together, in the key order of the reference worker. */
export function wireError(parts: WireErrorParts): WireError {
  const text = clip(parts.message);
  return {
    error_type: parts.errorType,
    class: parts.class,
    reason: parts.reason,
    message: text,
    diagnostic: text,
    ...(parts.publicDetails === null ? {} : { public: wireDetails(parts.publicDetails) }),
    ...(parts.causedBy === null ? {} : { caused_by: parts.causedBy }),
  };
}

/**
 * Cuts a text to what the reference worker lets through, never inside a character. Half a surrogate pair becomes
 * U+FFFD, since readers refuse the whole frame for one.
 */
export function clip(whole: string): string {
  // Each UTF-16 unit is at least a byte, so what lies behind the limit need not be encoded.
  const text = whole.slice(0, MAX_TEXT_BYTES + 1).replace(/\p{Surrogate}/gu, "\uFFFD");
  if (text.length * 3 <= MAX_TEXT_BYTES) return text;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_TEXT_BYTES) return text;
  const kept = new TextDecoder().decode(bytes.subarray(0, MAX_TEXT_BYTES - TRUNCATED.length));
  return kept.replace(/\uFFFD+$/, "") + TRUNCATED;
}

/** Details as they are written: texts are cut, and numbers that are not known are `null`, as the reference has it. */
function wireDetails(details: PublicDetails): PublicDetails {
  switch (details.type) {
    case "message":
      return { type: details.type, message: clip(details.message) };
    case "rate_limit":
      return { type: details.type, limit: integer(details.limit), remaining: integer(details.remaining) };
    default:
      return { type: details.type, limit: integer(details.limit) ?? 0, actual: integer(details.actual) };
  }
}

const U32_MAX = 0xffff_ffff;

/** An unsigned integer in the form that is encoded shortest and without loss; `null` for anything else. */
function integer(value: unknown): number | bigint | null {
  if (typeof value === "bigint") return value < 0n ? null : value <= BigInt(U32_MAX) ? Number(value) : value;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) return null;
  return value <= U32_MAX ? value : BigInt(value);
}

/** Reads details, whoever wrote them; `null` for what is none. */
export function readDetails(value: unknown): PublicDetails | null {
  if (typeof value !== "object" || value === null) return null;
  const { type, message, limit, actual, remaining } = value as Record<string, unknown>;
  switch (type) {
    case "message":
      return typeof message === "string" ? { type, message } : null;
    case "size_limit":
    case "context_length": {
      const known = integer(limit);
      return known === null ? null : { type, limit: known, actual: integer(actual) };
    }
    case "rate_limit":
      return { type, limit: integer(limit), remaining: integer(remaining) };
    default:
      return null;
  }
}

/** The text in details, if that is what they are. */
export function messageOf(details: PublicDetails | null): string | null {
  return details?.type === "message" ? details.message : null;
}
