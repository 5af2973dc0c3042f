/**
 * The request a log line is about.
 *
 * @module
 */

/** A request, as far as log lines name it; a `GenerateContext` is one. */
export interface LogRequest {
  /** The request id. */
  readonly id: string;
  /** Headers that carry its trace: `traceparent`, `x-request-id`. */
  readonly traceHeaders: Readonly<Record<string, string>>;
  /** The worker's own span, if it has one: 16 hexadecimal digits. */
  readonly spanId?: string | undefined;
}

/** The fields of a request, by name. */
export type LogRequestFields = Readonly<Record<string, string>>;

/** `version-trace-parent-flags`; a later version may go on after the flags. @source W3C Trace Context, level 1 */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/;

/**
 * The fields that say which request a line is about. Ids that the frontend did not send are left out, not made up.
 *
 * @source dynamo-runtime 1.6.1, `logging.rs`: `parent_id` is the caller's span, `span_id` the worker's own
 */
export function requestFields({ id, traceHeaders, spanId }: LogRequest): LogRequestFields {
  const trace = TRACEPARENT.exec(traceHeaders.traceparent ?? "");
  const xRequestId = traceHeaders["x-request-id"];
  return {
    request_id: id,
    ...(trace === null ? {} : { trace_id: trace[1]!, parent_id: trace[2]! }),
    ...(spanId === undefined ? {} : { span_id: spanId }),
    ...(xRequestId === undefined ? {} : { x_request_id: xRequestId }),
  };
}
