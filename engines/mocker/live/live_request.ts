/**
 * What the scheduler and the stream of one request share.
 *
 * @module
 */
import type { EngineClock } from "@stator/worker";
import type { EngineRequest } from "../engine_request.ts";
import { COMPLETED, REJECTED, TOKEN } from "../pass.ts";

/** Tokens that are ready, and how it ended. */
export class LiveRequest {
  /** Rank it runs on. */
  readonly rank: number;
  /** Its clock. */
  readonly clock: EngineClock;
  /** When it came. @unit milliseconds */
  readonly arrivedAt: number;
  /** What the scheduler knows of it; set once it is submitted. */
  request!: EngineRequest;
  /** When its last token came; `undefined` before the first. @unit milliseconds */
  lastTokenAt: number | undefined;
  /** Tokens that nobody has taken yet. */
  ready = 0;
  /** Whether the scheduler is done with it. */
  isOver = false;
  /** Whether it can never run. */
  isRejected = false;
  /** Why no more comes, if the engine failed. */
  error: unknown;
  #wake: (() => void) | undefined;

  /** Makes a request that nothing has happened to. */
  constructor(rank: number, clock: EngineClock) {
    this.rank = rank;
    this.clock = clock;
    this.arrivedAt = clock.now();
  }

  /** Notes what a pass brought. */
  signal(flags: number): void {
    if ((flags & TOKEN) !== 0) this.ready++;
    if ((flags & COMPLETED) !== 0) this.isOver = true;
    if ((flags & REJECTED) !== 0) this.isRejected = true;
    this.wake();
  }

  /** Notes that no more comes. */
  fail(error: unknown): void {
    this.error = error;
    this.isOver = true;
    this.wake();
  }

  /** Lets whoever waits look again. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }
}
