/**
 * The one error a client's request ends with.
 *
 * @module
 */
import type { PublicDetails } from "../protocol/error.ts";
import { decodeError, type ReceivedError } from "../protocol/received_error.ts";

/** A request that failed, told in Dynamo's canonical classes and reasons. */
export class ClientError extends Error implements ReceivedError {
  /** Canonical class, such as `Unavailable`. */
  readonly class: string;
  /** Catalogue key, such as `backend.engine_shutdown`; empty for a legacy error. */
  readonly reason: string;
  /** Text that HTTP clients may see, if any; `message` is for operators. */
  readonly publicMessage: string | null;
  /** What HTTP clients may see, if anything: that text, or a limit in numbers. */
  readonly publicDetails: PublicDetails | null;
  /** What led to it on the worker, if it said so. */
  readonly causedBy: ReceivedError | null;

  /** Makes an error of what was received or concluded. */
  constructor(received: ReceivedError, options?: ErrorOptions) {
    super(received.message, options);
    this.name = "ClientError";
    this.class = received.class;
    this.reason = received.reason;
    this.publicMessage = received.publicMessage;
    this.publicDetails = received.publicDetails ?? null;
    this.causedBy = received.causedBy ?? null;
  }
}

/** An error the client concluded itself. */
export function clientError(errorClass: string, reason: string, message: string, cause?: unknown): ClientError {
  const received = { class: errorClass, reason, message, publicMessage: null };
  return new ClientError(received, cause === undefined ? undefined : { cause });
}

/** The worker cannot be reached. */
export function cannotConnect(message: string, cause?: unknown): ClientError {
  return clientError("Unavailable", "transport.cannot_connect", message, cause);
}

/** The worker left in the middle. */
export function disconnected(message: string, cause?: unknown): ClientError {
  return clientError("Unavailable", "transport.disconnected", message, cause);
}

/** The worker did not answer in time. */
export function timedOut(message: string): ClientError {
  return clientError("DeadlineExceeded", "transport.connection_timeout", message);
}

/** The caller gave the request up. */
export function cancelled(message: string): ClientError {
  return clientError("Cancelled", "request.cancelled", message);
}

/** The worker said something that has no meaning here. */
export function brokenProtocol(message: string, cause?: unknown): ClientError {
  return clientError("BackendProtocol", "backend.protocol", message, cause);
}

/**
 * The meaning of an acknowledgement that is not empty.
 *
 * @source dynamo-runtime 1.6.1, tcp request plane client: two prefixes; other texts leave that frontend waiting, here they fail
 */
export function ackError(text: string): ClientError {
  if (text.startsWith("Server overloaded:")) {
    return clientError("CapacityExhausted", "capacity.worker_overloaded", text);
  }
  if (text.startsWith("Server unavailable:")) return clientError("Unavailable", "backend.worker_unavailable", text);
  return brokenProtocol(`unexpected acknowledgement: ${text}`);
}

/**
 * The meaning of a prologue error.
 *
 * @source dynamo-runtime 1.6.1: without `typed_error` the outer reason is `transport.cannot_connect`
 */
export function prologueError(text: string, typedError: unknown): ClientError {
  return typedError === undefined || typedError === null
    ? cannotConnect(text)
    : new ClientError(decodeError(typedError));
}
