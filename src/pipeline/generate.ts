/**
 * Runs the engine on one request: body in, items out, every failure as the last item.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { EndpointMetrics } from "../observe/metrics.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import { type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import { type GenerateRequest, parseRequest } from "../protocol/request.ts";
import type { ActiveRequest } from "./active_request.ts";
import type { Item } from "./encode.ts";
import { createValidator, type StreamValidator, type ValidationMode } from "./validate.ts";

/** The items of one answer, read one at a time. */
export interface ItemStream {
  /** The next item; `null` when there is none. It never rejects: a failure is the last item. */
  next(): Promise<Item | null>;
  /** Lets go of the engine; resolves, never rejecting, when its generator has ended. */
  close(): Promise<void>;
}

/** Answers a decoded body with items; nothing happens before the first is asked for. */
export type Run = (body: () => unknown, request: ActiveRequest) => ItemStream;

/** Is told of a request when it runs. */
export type Begun = (body: GenerateRequest, request: ActiveRequest) => void;

/** What all streams of an engine have in common. */
export interface StreamParts {
  /** What happens to a breach of the stream contract. */
  readonly mode: ValidationMode;
  /** The worker's part in serving. */
  readonly role: WorkerType;
  /** Time. */
  readonly clock: Clock;
  /** Metrics of the endpoint. */
  readonly metrics: EndpointMetrics;
  /** Log. */
  readonly log: Log;
  /** Told of each request when it runs, with its body; left out where nobody wants to know. */
  readonly begun?: Begun;
}

/** How long an engine may take to end its stream after its last chunk, where that is waited for. @unit milliseconds */
const END_GRACE_MS = 2000;
const OVER: Promise<null> = Promise.resolve(null);

/** Makes the {@linkcode Run} of an engine. Nothing follows a terminal chunk, and without one the stream is incomplete. */
export function runEngine(engine: Engine, parts: StreamParts): Run {
  return (body, request) => new EngineStream(engine, parts, body, request);
}

/** Either kind of iterator; an engine in JavaScript may well return the synchronous one. */
export type ChunkIterator = AsyncIterator<GenerateChunk> | Iterator<GenerateChunk>;

/** Written out rather than as a generator, which would cost each token two more turns of the microtask queue. */
class EngineStream implements ItemStream {
  readonly #engine: Engine;
  readonly #parts: StreamParts;
  readonly #body: () => unknown;
  readonly #request: ActiveRequest;
  #iterator: ChunkIterator | null = null;
  #validator!: StreamValidator;
  #pending: Promise<Item | null> = OVER;
  #hasTokens = false;
  #hasTerminal = false;
  #isOver = false;

  constructor(engine: Engine, parts: StreamParts, body: () => unknown, request: ActiveRequest) {
    this.#engine = engine;
    this.#parts = parts;
    this.#body = body;
    this.#request = request;
  }

  next(): Promise<Item | null> {
    if (this.#isOver) return OVER;
    try {
      const iterator = this.#iterator ??= this.#open();
      return this.#pending = Promise.resolve(iterator.next()).then(this.#take, this.#fail);
    } catch (thrown) {
      return Promise.resolve(this.#fail(thrown));
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    const iterator = this.#iterator;
    if (iterator === null) return;
    try {
      // Without a `return`, all there is to wait for is what was asked last.
      if (iterator.return === undefined) await this.#pending;
      else await iterator.return();
    } catch (error) {
      this.#threwLate(error);
    }
  }

  #open(): ChunkIterator {
    const request = parseRequest(this.#body());
    const { mode, role, log, metrics, begun } = this.#parts;
    // The frontend sends the decode leg once the prefill leg has its prologue, and both engines have to meet.
    this.#request.isAwaited = role === "prefill" && (request.bootstrap_info ?? null) !== null;
    begun?.(request, this.#request);
    this.#validator = createValidator(request, mode, {
      role,
      report: ({ kind, message }) => {
        metrics.violated(kind);
        log.warn("Engine breaks the stream contract", { kind, detail: message }, this.#request);
      },
    });
    try {
      const { trace } = this.#request;
      const open = () => openIterator(this.#engine.generate(request, this.#request));
      return trace === null ? open() : trace.generate(request, role, open);
    } catch (error) {
      // The request was fine, so whatever was thrown is the engine's.
      this.#iterator = { next: () => ({ done: true, value: undefined }) };
      throw error;
    }
  }

  readonly #take = (step: IteratorResult<GenerateChunk>): Item | null | Promise<Item | null> => {
    try {
      if (step.done) return this.#end();
      const chunk = step.value;
      this.#validator.push(chunk);
      if (!this.#hasTokens && chunk.token_ids?.length > 0) {
        this.#hasTokens = true;
        this.#request.notifyFirstToken();
      }
      if (!isLast(chunk)) return chunk;
      this.#hasTerminal = true;
      if (this.#parts.mode === "throw") return this.#holdBack(chunk);
      this.#isOver = true;
      return chunk;
    } catch (thrown) {
      return this.#fail(thrown);
    }
  };

  /** Looks whether anything follows the last chunk before that is sent, since afterwards it could not be made good. */
  async #holdBack(last: GenerateChunk): Promise<Item> {
    const known = new AbortController();
    const rest = Promise.resolve(this.#iterator!.next()).catch((error) => this.#threwLate(error));
    const step = await Promise.race([rest, delay(this.#parts.clock, END_GRACE_MS, known.signal)]);
    known.abort();
    this.#isOver = true;
    try {
      if (step?.done === false) this.#validator.push(step.value);
      return last;
    } catch (breach) {
      return this.#report(breach as DynamoError);
    }
  }

  #end(): Item | null {
    this.#isOver = true;
    if (this.#request.ending !== null) return null;
    this.#validator.end();
    throw new DynamoError("StreamIncomplete", "the engine ended its stream without a finish_reason");
  }

  readonly #fail = (thrown: unknown): Item | null => {
    this.#isOver = true;
    // A cancelled engine may well throw: nobody is waiting for the reason.
    if (this.#request.ending !== null) return null;
    return this.#report(DynamoError.from(thrown));
  };

  #report(error: DynamoError): DynamoError {
    this.#isOver = true;
    const { metrics, log } = this.#parts;
    this.#request.trace?.fail(error);
    metrics.failed(this.#iterator === null ? "deserialization" : "generate");
    log.debug("Request failed", { kind: error.kind, error: error.message }, this.#request);
    if (error.kind === "Unknown" && error.cause !== undefined) {
      log.warn("Engine threw while generating", { error: error.cause }, this.#request);
    }
    return error;
  }

  #threwLate(error: unknown): void {
    if (!this.#hasTerminal || this.#request.ending !== null) return;
    this.#parts.log.warn("Engine threw after its last chunk", { error }, this.#request);
  }
}

function openIterator(
  stream: Partial<AsyncIterable<GenerateChunk> & Iterable<GenerateChunk>> | undefined,
): ChunkIterator {
  const iterator = stream?.[Symbol.asyncIterator]?.() ?? stream?.[Symbol.iterator]?.();
  if (iterator === undefined) throw new TypeError("generate() returned no async iterable");
  return iterator;
}

/** Whether an item says that the answer failed; what an engine that works does not say. */
export function isFailed(item: Item): boolean {
  if (item instanceof DynamoError) return true;
  const { finish_reason } = item as GenerateChunk;
  if (finish_reason === undefined || finish_reason === null) return false;
  return typeof normalizeFinishReason(finish_reason) === "object";
}

/** Whether nothing can follow an item: it is an error, or a chunk that says how the answer ended. */
export function isLast(item: Item): boolean {
  if (item instanceof DynamoError) return true;
  const { finish_reason } = item as GenerateChunk;
  return finish_reason !== undefined && finish_reason !== null;
}
