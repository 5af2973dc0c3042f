/**
 * What the scheduler and the stream of one request share.
 *
 * @module
 */
import type { EngineClock } from "@stator/worker";
import type { EngineRequest, RequestSpec } from "../engine_request.ts";
import { COMPLETED, type HandoffEvent, REJECTED, TOKEN } from "../pass.ts";

/** Tokens that are ready, and how it ended. */
export class LiveRequest {
  /** What the scheduler is given. */
  readonly spec: RequestSpec;
  /** Rank it runs on. */
  readonly rank: number;
  /** Its clock. */
  readonly clock: EngineClock;
  /** When it came. @unit milliseconds */
  readonly arrivedAt: number;
  /** What the scheduler knows of it; `undefined` until it is submitted. */
  request: EngineRequest | undefined;
  /** Who is told that its prompt is computed, or has room. */
  onHandoff: ((event: HandoffEvent) => void) | undefined;
  /** Whether its prompt has arrived at the other worker. */
  isHandedOver = false;
  /** Why its prompt did not. */
  handoffFailure: string | undefined;
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
  constructor(spec: RequestSpec, rank: number, clock: EngineClock) {
    this.spec = spec;
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

  /** Notes the end of a hand-over. @param failure Why the prompt did not arrive, if so. */
  handedOver(failure: string | undefined): void {
    this.isHandedOver = failure === undefined;
    this.handoffFailure = failure;
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
