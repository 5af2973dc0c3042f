/**
 * A tracer provider that keeps what it is given, registered for the time of a test.
 *
 * @module
 */
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { goldenText } from "./golden.ts";

/** What was recorded. */
export interface Recording extends Disposable {
  /** Spans that ended, in the order in which they did. */
  spans(): readonly ReadableSpan[];
  /** The only span of a name. */
  span(name: string): ReadableSpan;
}

/** Registers a provider. */
export function recordSpans(): Recording {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return {
    spans: () => exporter.getFinishedSpans(),
    span(name) {
      const found = exporter.getFinishedSpans().filter((span) => span.name === name);
      if (found.length !== 1) throw new Error(`there are ${found.length} spans called ${name}`);
      return found[0]!;
    },
    [Symbol.dispose]() {
      trace.disable();
      context.disable();
    },
  };
}

/** A span as the capture of the reference worker has it. */
export interface CapturedSpan {
  readonly name: string;
  readonly kind: number;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

/** Spans of the reference's workers: those of the traces that ended well or failed, and one of a dropped stream. */
export function capturedSpans(): { readonly served: readonly CapturedSpan[]; readonly dropped: CapturedSpan } {
  const [served, dropped] = Object.values(
    JSON.parse(goldenText("contract/spans_disagg_trace.json")),
  ) as CapturedSpan[][];
  return { served: served!, dropped: dropped![0]! };
}

/** Names of attributes and types of their values, without those that only a Rust program can measure. */
export function shape(attributes: Readonly<Record<string, unknown>>): Record<string, string> {
  const known = Object.entries(attributes).filter(([name]) => name !== "busy_ns" && name !== "idle_ns");
  return Object.fromEntries(known.map(([name, value]) => [name, typeof value] as const).sort());
}
