/**
 * Text of whatever was thrown; JavaScript can throw anything.
 *
 * @module
 */
import { clip } from "./error_wire.ts";

/** Errors of an `AggregateError`, and members of any other object, that are told one by one. */
const MAX_MEMBERS = 8;

/** Describes what was thrown in one bounded text. It never throws, however odd the value. */
export function describeThrown(thrown: unknown): string {
  try {
    return clip(describe(thrown));
  } catch {
    return "a value that cannot be described was thrown";
  }
}

function describe(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  if (typeof thrown === "function") return "a function was thrown";
  if (typeof thrown !== "object" || thrown === null) return String(thrown);
  const { name, message } = thrown as { readonly name?: unknown; readonly message?: unknown };
  const members = thrown instanceof AggregateError ? describeMembers(thrown) : "";
  if (typeof message === "string") {
    const title = typeof name === "string" && name !== "" ? name : "Error";
    return [title, ...[message, members].filter((text) => text !== "")].join(": ");
  }
  // Names only: the values are anybody's.
  const names = Object.keys(thrown).slice(0, MAX_MEMBERS).join(", ");
  return `an object that is no Error was thrown${names === "" ? "" : `, with ${names}`}`;
}

function describeMembers({ errors }: AggregateError): string {
  if (!Array.isArray(errors)) return "";
  const shown = errors.slice(0, MAX_MEMBERS).map((error) => {
    // The members' own members stay out: they could be the error itself.
    return error instanceof AggregateError ? `${error.name}: ${error.message}` : describeThrown(error);
  });
  const more = errors.length - shown.length;
  return `[${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}]`;
}
