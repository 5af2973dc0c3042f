/**
 * The request a log line is about.
 *
 * @module
 */

/** A request, as far as log lines name it. */
export interface LogRequest {
  /** The request id. */
  readonly id: string;
  /** Headers that came with it: `traceparent`, `x-request-id`. */
  readonly incoming: Readonly<Record<string, string>>;
  /** The worker's own span, if it has one. */
  readonly span?: LogSpan | null;
}

/** A span, as far as log lines name it. */
export interface LogSpan {
  /** What it is a span of. */
  readonly name: string;
  /** The trace, 32 hexadecimal digits. */
  readonly traceId: string;
  /** The span, 16 hexadecimal digits. */
  readonly spanId: string;
  /** The span it is part of, if that is not the caller's: 16 hexadecimal digits. */
  readonly parentId?: string;
}

/** The fields of a request, by name. */
export type LogRequestFields = Readonly<Record<string, string>>;

/**
 * `version-trace-parent-flags`, with the last three as groups; a later version may go on after the flags.
 *
 * @source W3C Trace Context, level 1
 */
export const TRACEPARENT: RegExp =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/**
 * The fields that say which request a line is about. Ids that the frontend did not send are left out, not made up.
 *
 * @source dynamo-runtime 1.6.1, `logging.rs`: `parent_id` is the caller's span, `span_id` the worker's own
 */
export function requestFields({ id, incoming, span }: LogRequest): LogRequestFields {
  const trace = TRACEPARENT.exec(incoming.traceparent ?? "");
  const xRequestId = incoming["x-request-id"];
  return {
    request_id: id,
    ...(trace === null ? {} : { trace_id: trace[1]!, parent_id: trace[2]! }),
    ...(span ? { trace_id: span.traceId, ...parentOf(span), span_id: span.spanId, span_name: span.name } : {}),
    ...(xRequestId === undefined ? {} : { x_request_id: xRequestId }),
  };
}

function parentOf({ parentId }: LogSpan): LogRequestFields {
  return parentId === undefined ? {} : { parent_id: parentId };
}
