/**
 * What an engine sees of tracing. Without tracing everything here may be called and does nothing.
 *
 * @module
 */

/** A value of a span's attribute. */
export type SpanValue = string | number | boolean | readonly string[] | readonly number[] | readonly boolean[];

/** Attributes by name. */
export type SpanAttributes = Readonly<Record<string, SpanValue>>;

/** Where trace headers can be written: a plain object, or anything with a `set`, such as `Headers` or a `Map`. */
export type HeaderCarrier = Record<string, string> | { set(name: string, value: string): unknown };

/** A piece of work in a trace. Disposing it ends it, so `using` does; what was never ended is never exported. */
export interface Span extends Disposable {
  /** The trace, 32 hexadecimal digits; empty when nothing is traced. */
  readonly traceId: string;
  /** The span, 16 hexadecimal digits; empty when nothing is traced. */
  readonly spanId: string;
  /** Whether somebody will see what is recorded; work for attributes that cost something can be saved if not. */
  readonly isRecording: boolean;
  /** Sets an attribute, replacing one of that name. */
  setAttribute(name: string, value: SpanValue): void;
  /** Sets several attributes. */
  setAttributes(attributes: SpanAttributes): void;
  /** Notes that something happened now. */
  addEvent(name: string, attributes?: SpanAttributes): void;
  /** Notes a failure as an event, and marks the span as failed. */
  recordException(error: unknown): void;
  /** Begins a piece of work that is part of this one. */
  startSpan(name: string, attributes?: SpanAttributes): Span;
  /** Ends the span; the span of the request itself goes on, since its worker ends it. */
  end(): void;
}

/** The part of a request's surroundings that is about tracing. */
export interface TraceContext {
  /**
   * Headers to send along to other services, so that their spans become children of `engine.generate`: `traceparent`,
   * `tracestate`, `request-id`, `x-request-id`. When nothing is traced they are those that came with the request, if
   * any did.
   */
  traceHeaders(): Readonly<Record<string, string>>;
  /** Writes {@linkcode TraceContext.traceHeaders} into outbound headers. */
  injectTrace(headers: HeaderCarrier): void;
  /** The span `engine.generate` of this request. */
  currentSpan(): Span;
  /** Begins a child of `engine.generate`; the name may be made at run time. */
  startSpan(name: string, attributes?: SpanAttributes): Span;
}

/** The span of what is not traced. */
export const NO_SPAN: Span = {
  traceId: "",
  spanId: "",
  isRecording: false,
  setAttribute() {},
  setAttributes() {},
  addEvent() {},
  recordException() {},
  startSpan: () => NO_SPAN,
  end() {},
  [Symbol.dispose]() {},
};

/** The tracing of a request that is not traced; `headers` are passed on. */
export function untraced(headers: Readonly<Record<string, string>> = {}): TraceContext {
  return {
    traceHeaders: () => headers,
    injectTrace: (carrier) => writeHeaders(headers, carrier),
    currentSpan: () => NO_SPAN,
    startSpan: () => NO_SPAN,
  };
}

/** Writes headers into a carrier of either kind. */
export function writeHeaders(headers: Readonly<Record<string, string>>, carrier: HeaderCarrier): void {
  for (const [name, value] of Object.entries(headers)) {
    // A plain object may well hold a header called `set`.
    if (typeof carrier.set === "function") carrier.set(name, value);
    else (carrier as Record<string, string>)[name] = value;
  }
}
