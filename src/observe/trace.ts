/**
 * Spans over the OpenTelemetry API, which does nothing until somebody registers a provider: the host program,
 * `OTEL_DENO=true`, or the entry `./otel`.
 *
 * @module
 */
import {
  type Attributes,
  type AttributeValue,
  type Context,
  context,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type Link,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import { TRACEPARENT } from "./log_request.ts";

/** Another span, as the wire names it. @source dynamo-llm 1.6.1, `preprocessor.rs`, `TraceLink` */
export interface SpanLink {
  /** 32 hexadecimal digits. */
  readonly trace_id: string;
  /** 16 hexadecimal digits. */
  readonly span_id: string;
}

/** A span, with the ways to make more in its trace. Disposing it ends it. */
export class TraceSpan implements Disposable {
  /** The trace, 32 hexadecimal digits. */
  readonly traceId: string;
  /** The span, 16 hexadecimal digits. */
  readonly spanId: string;
  /** `traceparent` for what is done on behalf of this span. */
  readonly traceparent: string;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;

  constructor(tracer: Tracer, span: Span, parent: Context) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceId = traceId;
    this.spanId = spanId;
    this.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
    this.#tracer = tracer;
    this.#span = span;
    this.#context = trace.setSpan(parent, span);
  }

  /** Whether the span is exported. */
  get isRecording(): boolean {
    return this.#span.isRecording();
  }

  /** Sets an attribute. */
  setAttribute(name: string, value: unknown): void {
    this.#span.setAttribute(name, value as AttributeValue);
  }

  /** Sets attributes. */
  setAttributes(attributes: Readonly<Record<string, unknown>>): void {
    this.#span.setAttributes(attributes as Attributes);
  }

  /** Notes that something happened. */
  addEvent(name: string, attributes: Readonly<Record<string, unknown>> = {}): void {
    this.#span.addEvent(name, attributes as Attributes);
  }

  /** Notes a failure as an event, and marks the span as failed. */
  recordException(error: unknown): void {
    const known = error instanceof Error ? error : new Error(String(error));
    this.#span.recordException(known);
    this.fail(known.message);
  }

  /** Marks the span as failed. */
  fail(message: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  /** Begins a child. */
  startSpan(name: string, attributes: Readonly<Record<string, unknown>> = {}, link: SpanLink | null = null): TraceSpan {
    const options = { attributes: attributes as Attributes, ...links(link) };
    return new TraceSpan(this.#tracer, this.#tracer.startSpan(name, options, this.#context), this.#context);
  }

  /** Calls `run` with this span as the active one, so that instrumented libraries join the trace. */
  enter<T>(run: () => T): T {
    return context.with(this.#context, run);
  }

  /** Ends the span. */
  end(): void {
    this.#span.end();
  }

  /** Ends the span. */
  [Symbol.dispose](): void {
    this.#span.end();
  }
}

/** Makes the first span of a request. */
export interface Tracing {
  /**
   * Begins the span of a request under that of its caller.
   *
   * @returns `null` if the caller decided not to sample the trace.
   */
  begin(name: string, headers: Readonly<Record<string, string>>, attributes: Attributes): TraceSpan | null;
}

/** Name of the instrumentation scope. */
const SCOPE = "stator";

/** Opens tracing; `null` if no provider is registered, so that whoever asks finds out once and not per token. */
export function openTracing(provider: TracerProvider = trace.getTracerProvider()): Tracing | null {
  if (isAbsent(provider)) return null;
  const tracer = provider.getTracer(SCOPE);
  return {
    begin(name, headers, attributes): TraceSpan | null {
      const caller = callerOf(headers);
      // Deno's own provider samples everything, whatever the caller decided.
      if (caller !== null && (caller.traceFlags & TraceFlags.SAMPLED) === 0) return null;
      const parent = caller === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, caller);
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
      // A sampler may refuse as well.
      return span.isRecording() ? new TraceSpan(tracer, span, parent) : null;
    },
  };
}

/** A proxy without a delegate hands out the provider that does nothing. */
function isAbsent(provider: TracerProvider): boolean {
  return provider instanceof ProxyTracerProvider && provider.getDelegate() === new ProxyTracerProvider().getDelegate();
}

function callerOf(headers: Readonly<Record<string, string>>): SpanContext | null {
  const match = TRACEPARENT.exec(headers.traceparent ?? "");
  if (match === null) return null;
  const [, traceId, spanId, flags] = match as unknown as [string, string, string, string];
  return { traceId, spanId, traceFlags: parseInt(flags, 16), isRemote: true };
}

function links(link: SpanLink | null): { readonly links?: Link[] } {
  if (link === null) return {};
  const { trace_id: traceId, span_id: spanId } = link;
  const linked = { ...INVALID_SPAN_CONTEXT, traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(linked) ? { links: [{ context: linked }] } : {};
}
