/**
 * Reads one answer of an engine as a worker would, and notes everything about it.
 *
 * @module
 */
import { type GenerateContext, RequestAborted } from "../engine/context.ts";
import { createValidator, type StreamValidator, type Violation } from "../pipeline/validate.ts";
import { type FinishReason, type GenerateChunk, normalizeFinishReason } from "../protocol/output.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { Bench } from "./conformance_bench.ts";
import { fakeContext } from "./context.ts";
import { type SetLimit, stoppable, type StoppableClock } from "./kit_time.ts";

/** What was read. */
export interface Reading {
  /** The chunks, in order. */
  readonly chunks: readonly GenerateChunk[];
  /** How the terminal chunk says the answer ended; `null` without one, or with a reason nobody knows. */
  readonly finishReason: FinishReason | null;
  /** Breaches of the stream contract, each kind once. */
  readonly violations: readonly Violation[];
  /** Why reading ended: the engine did, it threw, time was up, or there was no point in going on. */
  readonly end: "ended" | "threw" | "late" | "stopped";
  /** What the engine threw. */
  readonly thrown: unknown;
  /** What its `abort` threw, if it did. */
  readonly abortThrown: { readonly error: unknown } | null;
}

/** Chunks between two turns of the event loop: an engine that never waits would not let time limits fire. */
const CHUNKS_PER_TURN = 64;
/** Longest stream that is read. */
const MAX_CHUNKS = 100_000;
/** Turns in which an engine that was given up may tidy up. */
const TIDY_TURNS = 10;
/** After these nothing more can be learnt. */
const HOPELESS: readonly string[] = ["MaxTokensExceeded", "ChunkAfterTerminal"];

/** One request to the engine under test. */
export class StreamProbe {
  /** Called with the first chunk that has tokens. */
  onFirstTokens: (() => void) | null = null;
  readonly #bench: Bench;
  readonly #request: GenerateRequest;
  readonly #control = new AbortController();
  readonly #clock: StoppableClock;
  readonly #context: GenerateContext;
  readonly #validator: StreamValidator;
  readonly #chunks: GenerateChunk[] = [];
  readonly #violations: Violation[] = [];
  #iterator: AsyncIterator<GenerateChunk> | null = null;
  #thrown: { readonly error: unknown } | null = null;
  #abortThrown: { readonly error: unknown } | null = null;
  #limit: Disposable | null = null;
  #finish: (end: Reading["end"]) => void = () => {};
  #isOver = false;

  /** Calls `generate`; nothing is read yet. */
  constructor(bench: Bench, request: GenerateRequest) {
    this.#bench = bench;
    this.#request = request;
    this.#clock = stoppable(bench.time.engineClock);
    this.#context = fakeContext({ signal: this.#control.signal, clock: this.#clock });
    const report = (violation: Violation) => void this.#violations.push(violation);
    this.#validator = createValidator(request, "warn", { report });
    try {
      const stream = bench.engine!.generate(this.#request, this.#context);
      this.#iterator = stream[Symbol.asyncIterator]();
    } catch (error) {
      this.#thrown = { error };
    }
  }

  /** Reads to the end, at most so long. @param limitMs Limit, in milliseconds. */
  async run(limitMs: number): Promise<Reading> {
    const { promise, resolve } = Promise.withResolvers<Reading["end"]>();
    this.#finish = resolve;
    // One that was cancelled before has its limit already.
    if (this.#limit === null) this.#arm(this.#bench.time.patience, limitMs);
    this.#pump().then(resolve, (error: unknown) => {
      this.#thrown = { error };
      resolve("threw");
    });
    const end = await promise;
    this.#isOver = true;
    this.#limit?.[Symbol.dispose]();
    const terminal = this.#chunks.find(({ finish_reason }) => (finish_reason ?? null) !== null);
    const reading: Reading = {
      chunks: this.#chunks,
      finishReason: normalizeFinishReason(terminal?.finish_reason),
      violations: [...this.#violations],
      end,
      thrown: this.#thrown?.error,
      abortThrown: this.#abortThrown,
    };
    if (end === "late" || end === "stopped") await this.#giveUp();
    return reading;
  }

  /** Cancels the request as a client that leaves does; it then has so long to end. @param limitMs Limit, in milliseconds. */
  cancel(limitMs: number): void {
    this.#arm(this.#bench.time.deadline, limitMs);
    this.#control.abort(new RequestAborted("kill"));
    const { engine } = this.#bench;
    (async () => await engine!.abort?.(this.#context))().catch((error: unknown) => this.#abortThrown = { error });
  }

  #arm(set: SetLimit, limitMs: number): void {
    this.#limit?.[Symbol.dispose]();
    this.#limit = set(limitMs, () => this.#finish("late"));
  }

  async #pump(): Promise<Reading["end"]> {
    if (this.#iterator === null) throw this.#thrown?.error;
    let hasTokens = false;
    for (;;) {
      const step = await this.#iterator.next();
      if (this.#isOver) return "late";
      if (step.done) {
        this.#validator.end();
        return "ended";
      }
      // Types do not hold an engine in JavaScript back from yielding nothing.
      const chunk = step.value ?? {};
      this.#chunks.push(chunk);
      this.#validator.push(chunk);
      if (this.#chunks.length >= MAX_CHUNKS || this.#violations.some(({ kind }) => HOPELESS.includes(kind))) {
        return "stopped";
      }
      if (!hasTokens && chunk.token_ids?.length > 0) {
        hasTokens = true;
        this.onFirstTokens?.();
      }
      if (this.#chunks.length % CHUNKS_PER_TURN === 0) await this.#bench.time.engineClock.nextTurn();
    }
  }

  /** Tells the engine to stop, lets it tidy up, and then takes its clock away. */
  async #giveUp(): Promise<void> {
    this.#control.abort(new RequestAborted("kill"));
    (async () => await this.#iterator?.return?.())().catch(() => {});
    for (let i = 0; i < TIDY_TURNS; i++) await this.#bench.time.engineClock.nextTurn();
    this.#clock.stop();
  }
}
