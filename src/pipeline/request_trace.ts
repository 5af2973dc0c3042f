/**
 * The spans of one request, with the names and attributes of the reference worker: `handle_payload` from its frame to
 * its last, and in it `engine.generate`.
 *
 * There is one only while a request is traced. All that others pay for it is to look whether it is `null`.
 *
 * @module
 */
import { NO_SPAN, type Span } from "../engine/span.ts";
import { type LogSpan, TRACEPARENT } from "../observe/log_request.ts";
import type { TraceSpan, Tracing } from "../observe/trace.ts";
import type { DynamoError } from "../protocol/error.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import type { EndpointName } from "../protocol/record.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { ChunkIterator } from "./generate.ts";
import { GenerateSpan, optional } from "./generate_span.ts";

/** What the spans of all requests of an endpoint have in common. */
export interface TraceParts {
  /** Where spans are made. */
  readonly tracing: Tracing;
  /** The endpoint. */
  readonly name: EndpointName;
  /** The worker's identity in discovery. */
  readonly instanceId: bigint;
  /** Monotonic time. @unit milliseconds, fractional */
  readonly now: () => number;
}

/** The part of the worker that the events come from. */
const EVENT_SOURCE = { level: "INFO", target: "stator::pipeline" };

/** Begins the trace of a request; `null` if it has none. */
export type BeginTrace = (id: string, incoming: Readonly<Record<string, string>>) => RequestTrace | null;

/** Makes the {@linkcode BeginTrace} of an endpoint. */
export function traceRequests(parts: TraceParts): BeginTrace {
  return (id, incoming) => beginTrace(parts, id, incoming);
}

/** @source dynamo-runtime 1.6.1, `logging.rs`, `make_handle_payload_span_from_tcp_headers` */
function beginTrace(
  { tracing, name, instanceId, now }: TraceParts,
  id: string,
  incoming: Readonly<Record<string, string>>,
): RequestTrace | null {
  const [, trace_id, parent_id, trace_flags] = TRACEPARENT.exec(incoming.traceparent ?? "") ?? [];
  const span = tracing.begin("handle_payload", incoming, {
    target: "request_span",
    ...(trace_flags === undefined ? {} : { trace_id, parent_id, trace_flags }),
    ...optional("x_request_id", incoming["x-request-id"]),
    request_id: incoming["request-id"] ?? id,
    ...optional("tracestate", incoming.tracestate),
    component: name.component,
    endpoint: name.endpoint,
    namespace: name.namespace,
    instance_id: String(instanceId),
  });
  return span === null ? null : new RequestTrace(span, id, incoming, now);
}

/** The spans of one request. */
export class RequestTrace {
  readonly #payload: TraceSpan;
  readonly #id: string;
  readonly #incoming: Readonly<Record<string, string>>;
  readonly #now: () => number;
  #engine: GenerateSpan | null = null;

  constructor(payload: TraceSpan, id: string, incoming: Readonly<Record<string, string>>, now: () => number) {
    this.#payload = payload;
    this.#id = id;
    this.#incoming = incoming;
    this.#now = now;
    this.#event("request received");
  }

  /** The engine's chunks, read under `engine.generate`. @throws What `open` throws. */
  generate(request: GenerateRequest, role: WorkerType, open: () => ChunkIterator): ChunkIterator {
    this.#engine = new GenerateSpan(this.#payload, request, role, this.#now);
    return this.#engine.read(open);
  }

  /** The answer failed. */
  fail(error: DynamoError): void {
    this.#engine?.fail(error);
  }

  /** The request was stopped, killed, or lost its frontend. */
  cancelled(): void {
    this.#engine?.cancelled();
    this.#event("request cancellation received");
  }

  /** Ends what is open; nothing may follow. */
  end(): void {
    this.#engine?.end();
    this.#event("request completed");
    this.#payload.end();
  }

  /** What log lines name. */
  get logSpan(): LogSpan {
    const { traceId, spanId } = this.#payload;
    if (this.#engine === null) return { name: "handle_payload", traceId, spanId };
    return { name: "engine.generate", traceId, spanId: this.#engine.span.spanId, parentId: spanId };
  }

  /** `engine.generate`, as engines see it. */
  get span(): Span {
    return this.#engine?.view ?? NO_SPAN;
  }

  /** Headers for other services. */
  headers(): Readonly<Record<string, string>> {
    const { traceparent } = this.#engine?.span ?? this.#payload;
    return { ...this.#incoming, traceparent };
  }

  #event(name: string): void {
    this.#payload.addEvent(name, { ...EVENT_SOURCE, request_id: this.#incoming["request-id"] ?? this.#id });
  }
}
