/**
 * Errors as a reader understands them, whichever worker wrote them.
 *
 * @module
 */
import {
  classOfReason,
  type ErrorIdentity,
  INVALID_ERROR,
  isErrorKind,
  KINDS,
  namedError,
  NAMES,
} from "./error_catalogue.ts";
import {
  clip,
  MAX_CHAIN,
  messageOf,
  type PublicDetails,
  readDetails,
  type WireError,
  wireError,
} from "./error_wire.ts";

/** What a reader makes of a wire error, whichever worker wrote it. */
export interface ReceivedError {
  /** Canonical class, `Internal` when it cannot be told. */
  readonly class: string;
  /** Catalogue key, `runtime.invalid_error` when class and reason do not belong together or are not known. */
  readonly reason: string;
  /** Text for operators. */
  readonly message: string;
  /** Text for clients, if any. */
  readonly publicMessage: string | null;
  /** What clients may see, if anything. */
  readonly publicDetails?: PublicDetails | null;
  /** What led to it, if that is known. */
  readonly causedBy?: ReceivedError | null;
  /** What the writer called it, which this reader may not know. */
  readonly declared?: DeclaredError;
}

/** The names of an error as they were written. */
export interface DeclaredError {
  /** Older name; backend kinds are an object. */
  readonly errorType: WireError["error_type"] | null;
  /** Class. */
  readonly class: string | null;
  /** Catalogue key. */
  readonly reason: string | null;
}

/**
 * Reads a wire error: canonical, or of a worker before Dynamo 1.6 (`{"error_type":"InvalidArgument","message":"x"}`).
 * What is missing is concluded, what is unknown is kept and counts as internal, and nothing throws.
 *
 * @source dynamo-runtime 1.6.1, `error.rs`, `Deserialize for DynamoError`
 */
export function decodeError(value: unknown): ReceivedError {
  const links: WireLink[] = [];
  for (let next: unknown = value; links.length < MAX_CHAIN; next = links.at(-1)!.caused_by) {
    if (!isObject(next)) break;
    links.push(next);
  }
  const chain = links.reduceRight<ReceivedError | null>((causedBy, link) => decodeLink(link, causedBy), null);
  return chain ?? { ...INVALID_ERROR, message: UNREADABLE, publicMessage: null, publicDetails: null, causedBy: null };
}

/** Writes a received error as it came, and adds the names that were concluded. */
export function encodeError(error: ReceivedError): WireError {
  const { declared, message, publicDetails = null, causedBy = null } = error;
  return wireError({
    errorType: declared?.errorType ?? legacyName(error),
    class: declared?.class ?? error.class,
    reason: declared?.reason ?? error.reason,
    message,
    publicDetails,
    causedBy: causedBy === null ? null : encodeError(causedBy),
  });
}

type WireLink = Readonly<Record<string, unknown>>;

const UNREADABLE = "unreadable error";

function decodeLink(link: WireLink, causedBy: ReceivedError | null): ReceivedError {
  const declared = { errorType: errorType(link.error_type), class: text(link.class), reason: text(link.reason) };
  const identity = identityOf(declared);
  // What cannot be classified may not have been meant for clients.
  const publicDetails = identity === INVALID_ERROR ? null : readDetails(link.public ?? link.public_details);
  return {
    ...identity,
    message: clip(text(link.diagnostic) ?? text(link.message) ?? UNREADABLE),
    publicMessage: messageOf(publicDetails),
    publicDetails,
    causedBy,
    declared,
  };
}

function identityOf({ errorType, class: name, reason }: DeclaredError): ErrorIdentity {
  const byType = errorType === null ? undefined : identityOfType(errorType);
  const byName = name === null ? undefined : namedError(name) ?? NAMES.Unknown!;
  const concluded = byName ?? byType ?? NAMES.Unknown!;
  const given = { class: concluded.class, reason: reason ?? (byType ?? concluded).reason };
  return classOfReason(given.reason) === given.class ? given : INVALID_ERROR;
}

function identityOfType(type: WireError["error_type"]): ErrorIdentity {
  if (typeof type === "string") return namedError(type) ?? NAMES.Unknown!;
  return isErrorKind(type.Backend) ? KINDS[type.Backend] : KINDS.Unknown;
}

function legacyName({ class: name }: ReceivedError): string {
  return namedError(name)?.legacy ?? "Unknown";
}

function errorType(value: unknown): WireError["error_type"] | null {
  if (isObject(value)) return typeof value.Backend === "string" ? { Backend: value.Backend } : null;
  return text(value);
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function isObject(value: unknown): value is WireLink {
  return typeof value === "object" && value !== null;
}
