/**
 * The classes and reasons of errors, and the older names that stand for them.
 *
 * @module
 */

/**
 * The nine ways a backend can fail.
 *
 * @source dynamo-backend-common 1.6.1, `error.rs`, `BackendError`
 */
export type ErrorKind =
  | "Unknown"
  | "InvalidArgument"
  | "CannotConnect"
  | "ConnectionTimeout"
  | "Disconnected"
  | "EngineShutdown"
  | "StreamIncomplete"
  | "ResponseTimeout"
  | "Cancelled";

/** What an error is: the class decides what a frontend does, the reason says why. */
export interface ErrorIdentity {
  /** Canonical class. */
  readonly class: string;
  /** Catalogue key; belongs to the class. */
  readonly reason: string;
}

/** Class and reason of each kind. @source dynamo-runtime 1.6.1, `error.rs`, `ErrorReason::for_class` */
export const KINDS: Readonly<Record<ErrorKind, ErrorIdentity>> = {
  Unknown: { class: "Internal", reason: "backend.unknown" },
  InvalidArgument: { class: "InvalidRequest", reason: "backend.invalid_argument" },
  CannotConnect: { class: "Unavailable", reason: "backend.cannot_connect" },
  ConnectionTimeout: { class: "DeadlineExceeded", reason: "backend.connection_timeout" },
  Disconnected: { class: "Unavailable", reason: "backend.disconnected" },
  EngineShutdown: { class: "Unavailable", reason: "backend.engine_shutdown" },
  StreamIncomplete: { class: "Unavailable", reason: "backend.stream_incomplete" },
  ResponseTimeout: { class: "DeadlineExceeded", reason: "backend.response_timeout" },
  Cancelled: { class: "Cancelled", reason: "backend.cancelled" },
};

/** A name outside the backend kinds: its class, its reason when none is given, and the older name it is written as. */
export interface NamedError extends ErrorIdentity {
  /** What readers that know no classes are told. */
  readonly legacy: string;
}

/**
 * Every class, and every older name that stands for one.
 *
 * @source dynamo-runtime 1.6.1, `error.rs`, `ErrorClass::normalized`, `ErrorReason::for_class`, `legacy_wire_error_type`
 */
export const NAMES: Readonly<Record<string, NamedError>> = {
  Internal: { class: "Internal", reason: "runtime.internal", legacy: "Unknown" },
  InvalidRequest: { class: "InvalidRequest", reason: "request.invalid", legacy: "InvalidArgument" },
  Unauthenticated: { class: "Unauthenticated", reason: "request.unauthenticated", legacy: "Unknown" },
  PermissionDenied: { class: "PermissionDenied", reason: "request.permission_denied", legacy: "Unknown" },
  NotFound: { class: "NotFound", reason: "request.not_found", legacy: "Unknown" },
  Conflict: { class: "Conflict", reason: "request.conflict", legacy: "Unknown" },
  PayloadTooLarge: { class: "PayloadTooLarge", reason: "request.payload_too_large", legacy: "InvalidArgument" },
  UnsupportedMedia: { class: "UnsupportedMedia", reason: "request.unsupported_media", legacy: "InvalidArgument" },
  RateLimited: { class: "RateLimited", reason: "request.rate_limited", legacy: "ResourceExhausted" },
  CapacityExhausted: { class: "CapacityExhausted", reason: "capacity.exhausted", legacy: "ResourceExhausted" },
  Cancelled: { class: "Cancelled", reason: "request.cancelled", legacy: "Cancelled" },
  Unavailable: { class: "Unavailable", reason: "backend.unavailable", legacy: "Unavailable" },
  BackendProtocol: { class: "BackendProtocol", reason: "backend.protocol", legacy: "Unknown" },
  DeadlineExceeded: { class: "DeadlineExceeded", reason: "request.deadline_exceeded", legacy: "ResponseTimeout" },
  NotImplemented: { class: "NotImplemented", reason: "runtime.not_implemented", legacy: "Unknown" },
  Unknown: { class: "Internal", reason: "runtime.unclassified", legacy: "Unknown" },
  InvalidArgument: { class: "InvalidRequest", reason: "request.invalid_argument", legacy: "InvalidArgument" },
  CannotConnect: { class: "Unavailable", reason: "transport.cannot_connect", legacy: "CannotConnect" },
  Disconnected: { class: "Unavailable", reason: "transport.disconnected", legacy: "Disconnected" },
  ConnectionTimeout: {
    class: "DeadlineExceeded",
    reason: "transport.connection_timeout",
    legacy: "ConnectionTimeout",
  },
  ResponseTimeout: { class: "DeadlineExceeded", reason: "backend.response_timeout", legacy: "ResponseTimeout" },
  ResourceExhausted: { class: "CapacityExhausted", reason: "capacity.pool_exhausted", legacy: "ResourceExhausted" },
  WorkerOverloaded: { class: "CapacityExhausted", reason: "capacity.worker_overloaded", legacy: "ResourceExhausted" },
  WorkerUnavailable: { class: "Unavailable", reason: "backend.worker_unavailable", legacy: "WorkerUnavailable" },
};

/** Reasons that no name has for its own. */
const FURTHER_REASONS: readonly ErrorIdentity[] = [
  { class: "Internal", reason: "runtime.invalid_error" },
  { class: "DeadlineExceeded", reason: "router.queue_deadline_exceeded" },
];

const CLASS_OF_REASON: ReadonlyMap<string, string> = new Map(
  [...Object.values(NAMES), ...Object.values(KINDS), ...FURTHER_REASONS].map(({ class: name, reason }) => [
    reason,
    name,
  ]),
);

/** What an error is whose class and reason do not belong together, or are not known. */
export const INVALID_ERROR: ErrorIdentity = { class: "Internal", reason: "runtime.invalid_error" };

/** The class a reason belongs to; `undefined` for one that is not in the catalogue. */
export function classOfReason(reason: string): string | undefined {
  return CLASS_OF_REASON.get(reason);
}

/** Whether a text names one of the nine kinds. */
export function isErrorKind(name: string): name is ErrorKind {
  return Object.hasOwn(KINDS, name);
}

/** A class or an older name; `undefined` for one that is neither. */
export function namedError(name: string): NamedError | undefined {
  return Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
}
