/**
 * Errors in OpenAI's shape.
 *
 * @module
 */
import { ClientError } from "../client/client.ts";

/** The `error` member of an answer. */
export interface OpenAiError {
  /** Text for people. */
  readonly message: string;
  /** Kind of error. */
  readonly type: string;
  /** The request's member at fault. */
  readonly param: string | null;
  /** Short name of the cause, or the HTTP status of a failed worker, as Dynamo's frontend has it. */
  readonly code: string | number | null;
}

/** A request the gateway answers with an error itself. */
export class GatewayError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** What the client sees. */
  readonly error: OpenAiError;

  /** Makes an error of its parts. */
  constructor(status: number, error: OpenAiError, options?: ErrorOptions) {
    super(error.message, options);
    this.name = "GatewayError";
    this.status = status;
    this.error = error;
  }
}

/** A request that is at fault: 400. */
export function badRequest(message: string, param: string | null = null, code: string | null = null): GatewayError {
  return new GatewayError(400, { message, type: "invalid_request_error", param, code });
}

/** A feature Dynamo's own frontend has and this gateway has not: 400, never silence. */
export function notSupported(param: string): GatewayError {
  return badRequest(
    `'${param}' is not supported by the built-in gateway; use Dynamo's frontend`,
    param,
    "unsupported_parameter",
  );
}

/** A model nobody serves: 404. */
export function modelNotFound(name: string): GatewayError {
  const message = `The model '${name}' does not exist`;
  return new GatewayError(404, { message, type: "invalid_request_error", param: "model", code: "model_not_found" });
}

/** Status, fixed text and type of each canonical class. */
type Row = readonly [status: number, message: string, type: string];

/**
 * What clients see of a worker's failure.
 *
 * @source dynamo-llm 1.6.1, HTTP service; the first five measured on the wire (golden/contract/http)
 */
const CLASSES: Readonly<Record<string, Row>> = {
  Internal: [500, "Internal server error", "internal_server_error"],
  InvalidRequest: [400, "Invalid request", "invalid_request_error"],
  Unavailable: [503, "Service temporarily unavailable", "service_unavailable"],
  DeadlineExceeded: [504, "Request deadline exceeded", "timeout_error"],
  Cancelled: [499, "Request cancelled", "request_cancelled"],
  CapacityExhausted: [529, "Service temporarily overloaded", "overloaded"],
  BackendProtocol: [502, "Bad gateway", "bad_gateway"],
  Unauthenticated: [401, "Unauthenticated", "authentication_error"],
  PermissionDenied: [403, "Permission denied", "permission_denied"],
  NotFound: [404, "Not found", "not_found_error"],
  Conflict: [409, "Conflict", "conflict"],
  PayloadTooLarge: [413, "Payload too large", "payload_too_large"],
  UnsupportedMedia: [415, "Unsupported media type", "unsupported_media_type"],
  RateLimited: [429, "Too many requests", "rate_limit_error"],
  NotImplemented: [501, "Not implemented", "not_implemented"],
};

/** Any failure as an error for clients; only texts meant for them are shown. */
export function gatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const received = thrown instanceof ClientError ? thrown : null;
  const [status, message, type] = CLASSES[received?.class ?? "Internal"] ?? CLASSES.Internal!;
  const error = { message: received?.publicMessage ?? message, type, param: null, code: status };
  return new GatewayError(status, error, { cause: thrown });
}
