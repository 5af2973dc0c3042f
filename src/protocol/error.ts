/**
 * The one error type of the worker contract and its wire form.
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

/** Class and reason of each kind. @source dynamo-runtime 1.6.1, error catalogue */
const CATALOGUE: Readonly<Record<ErrorKind, { readonly class: string; readonly reason: string }>> = {
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

/** Longest operator text on the wire. @unit bytes @source dynamo-runtime 1.6.1 */
const MAX_DIAGNOSTIC_BYTES = 4096;
const TRUNCATED = "...[truncated]";

/** Text that clients may see. */
export interface PublicMessage {
  /** Always `message`. */
  readonly type: "message";
  /** The text. */
  readonly message: string;
}

/** A {@linkcode DynamoError} as it travels. Keys stand in the order of the reference worker. */
export interface WireError {
  /** Legacy name; backend kinds are an object. */
  readonly error_type: { readonly Backend: string } | string;
  /** Canonical class. */
  readonly class?: string;
  /** Catalogue key; belongs to the class. */
  readonly reason?: string;
  /** Text for operators. */
  readonly message: string;
  /** The same text again. */
  readonly diagnostic?: string;
  /** The only text that clients see. */
  readonly public?: PublicMessage | Readonly<Record<string, unknown>>;
  /** What led to it. */
  readonly caused_by?: WireError;
}

/** Settings of a {@linkcode DynamoError}. */
export interface DynamoErrorOptions extends ErrorOptions {
  /**
   * Text that clients may see.
   *
   * @default the message for `InvalidArgument`, a fixed sentence chosen by the frontend for every other kind
   */
  readonly publicMessage?: string | null;
}

/**
 * A failure that reaches the frontend with its kind, and so the HTTP client with the right status.
 *
 * The message is for operators; clients see it only for `InvalidArgument`.
 *
 * @source dynamo-backend-common 1.6.1, `error.rs`
 * @example
 * ```ts
 * import { DynamoError } from "@stator/worker";
 *
 * const error = new DynamoError("InvalidArgument", "max_tokens must be at least 1");
 * ```
 */
export class DynamoError extends Error {
  /** Which of the nine kinds it is. */
  readonly kind: ErrorKind;
  /** Text that clients may see, if any. */
  readonly publicMessage: string | null;

  /** Makes an error of a kind. */
  constructor(kind: ErrorKind, message: string, options: DynamoErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "DynamoError";
    this.kind = kind;
    this.publicMessage = options.publicMessage ?? (kind === "InvalidArgument" ? message : null);
    if (options.publicMessage === null) this.publicMessage = null;
  }

  /** Returns a `DynamoError` as it is and wraps anything else as `Unknown`, keeping it as the cause. */
  static from(thrown: unknown): DynamoError {
    if (thrown instanceof DynamoError) return thrown;
    const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    return new DynamoError("Unknown", message, { cause: thrown });
  }

  /** The error as it travels. */
  toWire(): WireError {
    const text = clip(this.message);
    const cause = this.cause instanceof DynamoError ? this.cause.toWire() : undefined;
    return {
      error_type: { Backend: this.kind },
      ...CATALOGUE[this.kind],
      message: text,
      diagnostic: text,
      ...(this.publicMessage === null ? {} : { public: { type: "message", message: this.publicMessage } }),
      ...(cause === undefined ? {} : { caused_by: cause }),
    };
  }

  /** Whether the request itself was at fault, so that trying again cannot help. */
  get isInvalidRequest(): boolean {
    return CATALOGUE[this.kind].class === "InvalidRequest";
  }
}

function clip(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_DIAGNOSTIC_BYTES) return text;
  const kept = new TextDecoder().decode(bytes.subarray(0, MAX_DIAGNOSTIC_BYTES - TRUNCATED.length));
  return kept.replace(/\uFFFD+$/, "") + TRUNCATED;
}

/** What a reader makes of a wire error, whichever worker wrote it. */
export interface ReceivedError {
  /** Canonical class, `Internal` when it cannot be told. */
  readonly class: string;
  /** Catalogue key, empty for a legacy error. */
  readonly reason: string;
  /** Text for operators. */
  readonly message: string;
  /** Text for clients, if any. */
  readonly publicMessage: string | null;
}

/** Reads a wire error, canonical or legacy (`{"error_type":"InvalidArgument","message":"x"}`). */
export function decodeError(value: unknown): ReceivedError {
  const wire = (typeof value === "object" && value !== null ? value : {}) as Partial<WireError>;
  const legacy = typeof wire.error_type === "object" ? wire.error_type.Backend : wire.error_type;
  const known = CATALOGUE[legacy as ErrorKind];
  const text = (wire.public as PublicMessage | undefined)?.message;
  return {
    class: wire.class ?? known?.class ?? "Internal",
    reason: wire.reason ?? known?.reason ?? "",
    message: typeof wire.message === "string" ? wire.message : "unreadable error",
    publicMessage: typeof text === "string" ? text : null,
  };
}
