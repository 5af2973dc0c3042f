/**
 * One request while it is in the worker: what the engine sees of it, and the one place where it is ended from outside.
 *
 * @module
 */
import { type AbortReason, type EngineClock, type GenerateContext, RequestAborted } from "../engine/context.ts";
import type { EngineLog } from "../engine/log.ts";
import { type HeaderCarrier, NO_SPAN, type Span, type SpanAttributes, writeHeaders } from "../engine/span.ts";
import type { Log, LogSpan } from "../observe/log.ts";
import type { RequestHead } from "../protocol/control.ts";
import type { DynamoError } from "../protocol/error.ts";
import type { Admitted } from "./admission.ts";
import { pickTraceHeaders } from "./decode.ts";
import { createEngineLog } from "./engine_log.ts";
import type { RequestTrace } from "./request_trace.ts";

/** How a request ended from outside: given up by the frontend, or failed by the worker. */
export type Ending =
  | { readonly kind: "aborted"; readonly reason: AbortReason }
  | { readonly kind: "failed"; readonly error: DynamoError };

/** A request from its acknowledgement to the end of its generator. */
export class ActiveRequest implements Admitted, GenerateContext {
  readonly id: string;
  readonly signal: AbortSignal;
  readonly metadata: Readonly<Record<string, string>>;
  /** Trace headers that came with it. */
  readonly incoming: Readonly<Record<string, string>>;
  /** Its spans, if it is traced. */
  trace: RequestTrace | null = null;
  readonly clock: EngineClock;
  /** Whether a frontend does nothing else for it before the prologue; known once it runs. */
  isAwaited = false;
  /** Resolves once, if the request is ended from outside. */
  readonly ended: Promise<Ending>;
  readonly #engineLog: Log;
  #log: EngineLog | null = null;
  readonly #controller = new AbortController();
  #settle!: (ending: Ending) => void;
  #ending: Ending | null = null;
  #hasFirstToken = false;
  #onFirstToken: (() => void) | null = null;

  constructor(head: RequestHead, headers: Readonly<Record<string, string>>, clock: EngineClock, engineLog: Log) {
    this.id = head.id;
    this.metadata = head.metadata;
    this.incoming = pickTraceHeaders(headers);
    this.clock = clock;
    this.#engineLog = engineLog;
    this.signal = this.#controller.signal;
    this.ended = new Promise((resolve) => this.#settle = resolve);
  }

  /** How it was ended from outside, if it was. */
  get ending(): Ending | null {
    return this.#ending;
  }

  /** Made when it is first asked for, since most requests need none. */
  get log(): EngineLog {
    return this.#log ??= createEngineLog(this.#engineLog, this);
  }

  notifyFirstToken(): void {
    if (this.#hasFirstToken) return;
    this.#hasFirstToken = true;
    this.#onFirstToken?.();
  }

  /** Calls `run` once the first token is there, now if it is. */
  onFirstToken(run: () => void): void {
    if (this.#hasFirstToken) return run();
    const before = this.#onFirstToken;
    this.#onFirstToken = before === null ? run : () => (before(), run());
  }

  /** What log lines say about its span. */
  get span(): LogSpan | null {
    return this.trace?.logSpan ?? null;
  }

  traceHeaders(): Readonly<Record<string, string>> {
    return this.trace?.headers() ?? this.incoming;
  }

  injectTrace(headers: HeaderCarrier): void {
    writeHeaders(this.traceHeaders(), headers);
  }

  currentSpan(): Span {
    return this.trace?.span ?? NO_SPAN;
  }

  startSpan(name: string, attributes?: SpanAttributes): Span {
    return this.currentSpan().startSpan(name, attributes);
  }

  /** The frontend does not want the answer, or cannot get it. */
  abort(reason: AbortReason): void {
    if (this.#ending === null) this.trace?.cancelled();
    this.#end({ kind: "aborted", reason }, reason);
  }

  /** The worker gives the request up; the frontend is told the error. */
  fail(error: DynamoError): void {
    this.#end({ kind: "failed", error }, "deadline");
  }

  #end(ending: Ending, reason: AbortReason): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    this.#controller.abort(new RequestAborted(reason));
    this.#settle(ending);
  }
}
