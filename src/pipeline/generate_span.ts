/**
 * The span `engine.generate`: what an engine did with one request, and when.
 *
 * @module
 */
import type { Span, SpanAttributes } from "../engine/span.ts";
import type { SpanLink, TraceSpan } from "../observe/trace.ts";
import type { DynamoError } from "../protocol/error.ts";
import { type FinishReason, type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { ChunkIterator } from "./generate.ts";

/**
 * The span of an engine's work on one request.
 *
 * @source dynamo-backend-common 1.6.1, `adapter.rs`: names, types and rounding. Numbers travel as text there, and what
 * was not measured is left out. `cached_tokens` is an addition.
 */
export class GenerateSpan {
  /** The span. */
  readonly span: TraceSpan;
  readonly #now: () => number;
  readonly #isHandoff: boolean;
  readonly #gaps: number[] = [];
  readonly #begunAt: number;
  #tokensAt: number | null = null;
  #tokens = 0;
  #view: Span | null = null;
  #isCancelled = false;
  #hasFailedSetup = false;
  #isOver = false;
  #isEnded = false;

  /** Begins it. */
  constructor(payload: TraceSpan, request: GenerateRequest, role: WorkerType, now: () => number) {
    const link = parseLink(request.migration_link);
    const migration = link === null
      ? {}
      : { migration_trace_id: link.trace_id, migration_span_id: link.span_id } satisfies SpanAttributes;
    this.span = payload.startSpan("engine.generate", {
      target: "request_span",
      model: request.model,
      input_tokens: String(request.token_ids.length),
      disagg_role: ROLE_NAMES[role],
      ...migration,
    }, link);
    this.#isHandoff = role === "prefill" || role === "encode";
    this.#now = now;
    this.#begunAt = now();
  }

  /** The span, as the engine sees it. */
  get view(): Span {
    return this.#view ??= engineView(this.span);
  }

  /**
   * The engine's chunks, noted as they are read. The engine runs with the span as the active one, so that libraries that
   * trace by themselves join in.
   *
   * @throws What `open` throws.
   */
  read(open: () => ChunkIterator): ChunkIterator {
    const iterator = this.#open(open);
    const traced: AsyncIterator<GenerateChunk> = {
      next: async () => {
        const step = await this.span.enter(() => iterator.next());
        return step.done ? step : { done: false, value: this.#chunk(step.value) };
      },
    };
    if (iterator.return !== undefined) {
      traced.return = async () => await this.span.enter(() => iterator.return!());
    }
    return traced;
  }

  #open(open: () => ChunkIterator): ChunkIterator {
    try {
      return this.span.enter(open);
    } catch (error) {
      this.#isOver = this.#hasFailedSetup = true;
      this.span.setAttribute("error_kind", "setup_failed");
      this.span.fail("setup_failed");
      throw error;
    }
  }

  /** Notes a chunk; returns what is to be sent, which on the first one with tokens says where they come from. */
  #chunk(chunk: GenerateChunk): GenerateChunk {
    // What is no chunk is the validator's to refuse.
    const length = chunk?.token_ids?.length ?? 0;
    const isLast = chunk?.finish_reason !== undefined && chunk.finish_reason !== null;
    const isFirst = length > 0 && this.#tokensAt === null;
    if (length > 0) this.#time();
    this.#tokens += length;
    if (isLast) this.#close(chunk);
    if (!isFirst && !(isLast && this.#isHandoff)) return chunk;
    return { ...chunk, worker_trace_link: { trace_id: this.span.traceId, span_id: this.span.spanId } };
  }

  /** Notes that nobody wants the answer any more. */
  cancelled(): void {
    this.#isCancelled = true;
  }

  /** Notes that the answer failed. */
  fail(error: DynamoError): void {
    if (this.#hasFailedSetup) return;
    const { error_type: type } = error.toWire();
    const kind = typeof type === "string" ? type : `Backend(${type.Backend})`;
    this.span.setAttribute("error_kind", kind);
    this.#finish();
    this.span.fail(kind);
  }

  /** Ends the span. A stream that was neither finished nor failed was dropped. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (!this.#isOver) {
      this.span.setAttributes({ cancelled: true, finish_reason: "Dropped" });
      this.span.fail("stream dropped before terminal");
    }
    this.span.end();
  }

  #time(): void {
    const now = this.#now();
    if (this.#tokensAt === null) this.span.setAttribute("ttft_ms", (now - this.#begunAt).toFixed(2));
    else this.#gaps.push(now - this.#tokensAt);
    this.#tokensAt = now;
  }

  #close({ finish_reason, completion_usage }: GenerateChunk): void {
    const reason = normalizeFinishReason(finish_reason);
    this.span.setAttributes({
      finish_reason: reason === null ? String(finish_reason) : reasonName(reason),
      ...optional("cached_tokens", completion_usage?.prompt_tokens_details?.cached_tokens),
    });
    this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    this.span.setAttributes({
      output_tokens: String(this.#tokens),
      cancelled: this.#isCancelled,
      ...this.#gapFigures(),
    });
  }

  #gapFigures(): SpanAttributes {
    const gaps = this.#gaps.sort((a, b) => a - b);
    if (gaps.length === 0) return {};
    const rank = (share: number) => gaps[Math.round((gaps.length - 1) * share)]!.toFixed(2);
    const sum = gaps.reduce((total, gap) => total + gap, 0);
    return {
      avg_itl_ms: (sum / gaps.length).toFixed(2),
      itl_p50_ms: rank(0.5),
      itl_p99_ms: rank(0.99),
      itl_max_ms: rank(1),
    };
  }
}

/** What the reference calls the parts in serving. @source dynamo-backend-common 1.6.1, `disagg.rs`, `as_str` */
const ROLE_NAMES: Readonly<Record<WorkerType, string>> = {
  aggregated: "agg",
  prefill: "prefill",
  decode: "decode",
  encode: "encode",
};

/** @source dynamo-llm 1.6.1, `FinishReason` as Rust's `Debug` prints it */
function reasonName(reason: FinishReason): string {
  if (typeof reason === "object") return `Error(${JSON.stringify(reason.error)})`;
  if (reason === "eos") return "EoS";
  return reason.split("_").map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

function parseLink(value: unknown): SpanLink | null {
  const { trace_id, span_id } = (value ?? {}) as Partial<SpanLink>;
  return typeof trace_id === "string" && typeof span_id === "string" ? { trace_id, span_id } : null;
}

/** The worker ends the span of a request itself, after its last chunk. */
function engineView(span: TraceSpan): Span {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    get isRecording() {
      return span.isRecording;
    },
    setAttribute: (name, value) => span.setAttribute(name, value),
    setAttributes: (attributes) => span.setAttributes(attributes),
    addEvent: (name, attributes) => span.addEvent(name, attributes),
    recordException: (error) => span.recordException(error),
    startSpan: (name, attributes) => span.startSpan(name, attributes),
    end() {},
    [Symbol.dispose]() {},
  };
}

/** An attribute as text, if there is a value. */
export function optional(name: string, value: string | number | undefined): Record<string, string> {
  return value === undefined ? {} : { [name]: String(value) };
}
