/**
 * Drives the schedulers of a worker with the real clock.
 *
 * @module
 */
import type { EngineClock } from "@stator/worker";
import type { EngineGroup, RankPass } from "../engine_group.ts";
import type { EngineRequest, RequestSpec } from "../engine_request.ts";

/** Lateness that is caught up; what is beyond it is lost. @source dynamo-mocker 1.6.1: live clock @unit milliseconds */
const CATCH_UP_MS = 5;

/** Timers are late by about as much; the last bit of a wait goes turn by turn. @unit milliseconds */
const TIMER_LATENESS_MS = 1;

/** Who is told what passes bring. Must not throw. */
export interface PassListener {
  /** A pass has ended, `now` on the clock. */
  passed(ranks: readonly RankPass[], now: number): void;
  /** Copies between tiers have ended at these ranks, between passes. */
  copied(ranks: readonly number[]): void;
  /** No pass can be computed any more. */
  failed(error: unknown): void;
}

/** Settings of a driver. */
export interface DriverOptions {
  /** How much longer the pass with this number takes than it should. @unit milliseconds */
  stallMs(pass: number): number;
}

/**
 * Runs one pass of the group after the other while there is work, each to its absolute end: one timer, however many
 * requests there are.
 *
 * After a pass the next one begins at the modelled end of the last, so lateness does not add up; after a pause it begins
 * at once.
 */
export class Driver {
  readonly #group: EngineGroup;
  readonly #listener: PassListener;
  readonly #options: DriverOptions;
  readonly #stopped = new AbortController();
  readonly #deferred: (() => void)[] = [];
  /** Ends a pause between passes. */
  #pause: AbortController | undefined;
  #isRunning = false;
  #heldUntil = -Infinity;
  #passes = 0;
  #run: Promise<void> = Promise.resolve();

  /** Makes a driver that waits for work. */
  constructor(group: EngineGroup, listener: PassListener, options: DriverOptions) {
    this.#group = group;
    this.#listener = listener;
    this.#options = options;
  }

  /** Sets the time of the clock before which no pass begins. */
  holdUntil(time: number): void {
    this.#heldUntil = time;
  }

  /** Adds a request to a rank; a pass that is under way ends without it. */
  submit(rank: number, spec: RequestSpec, clock: EngineClock): EngineRequest {
    const request = this.#group.ranks[rank]!.submit(spec);
    this.#wake(clock);
    return request;
  }

  /** The same for a request whose blocks are kept at its end. */
  submitSource(rank: number, spec: RequestSpec, clock: EngineClock): EngineRequest {
    const request = this.#group.ranks[rank]!.submitSource(spec);
    this.#wake(clock);
    return request;
  }

  /** Asks for room for a prompt; at once, or at the end of a pass. @throws {RangeError} If it can never fit. */
  reserve(rank: number, spec: RequestSpec): EngineRequest {
    return this.#group.ranks[rank]!.reserveDestination(spec, !this.#group.isBusy);
  }

  /** Does something to the ranks at once, or at the end of a pass that is under way. */
  betweenPasses(run: () => void, clock: EngineClock): void {
    if (this.#group.isBusy) return void this.#deferred.push(run);
    run();
    this.#wake(clock);
  }

  /** Takes a request out, wherever it is; what it held is free at once. */
  cancel(rank: number, request: EngineRequest, clock: EngineClock): void {
    this.#group.ranks[rank]!.cancel(request, !this.#group.isBusy, clock.now());
    this.#wake(clock);
  }

  /** Ends the passes; resolves when none is under way. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#pause?.abort();
    await this.#run;
  }

  #wake(clock: EngineClock): void {
    const { isReady, nextMs } = this.#group;
    if (isReady) this.#pause?.abort();
    if (this.#isRunning || !isReady && nextMs === Infinity || this.#stopped.signal.aborted) return;
    this.#isRunning = true;
    this.#run = this.#drive(clock);
  }

  async #drive(clock: EngineClock): Promise<void> {
    try {
      if (clock.now() < this.#heldUntil) await clock.sleepUntil(this.#heldUntil, this.#stopped.signal);
      let start = clock.now();
      let isStuck = false;
      while (!this.#stopped.signal.aborted) {
        if (!this.#group.isReady || isStuck) {
          // Whatever blocks the queue stays until a copy ends, or a request comes or goes, which begins the next pass.
          if (this.#group.nextMs === Infinity) break;
          start = await this.#awaitCopy(clock);
          isStuck = false;
        } else {
          const last = start;
          this.#endCopies(start);
          const isIdle = this.#group.begin(start).every(({ pass }) => !pass.progressed && !pass.retries);
          start = await this.#awaitEnd(clock);
          const deferred = this.#deferred.splice(0);
          for (const run of deferred) run();
          isStuck = isIdle && this.#group.endMs === last && deferred.length === 0;
        }
      }
    } catch (error) {
      this.#stopped.abort();
      this.#listener.failed(error);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Waits for the end of the pass that has begun; when the next one may begin. @unit milliseconds */
  async #awaitEnd(clock: EngineClock): Promise<number> {
    const end = this.#group.endMs + this.#options.stallMs(this.#passes++);
    if (end > clock.now()) await waitUntil(clock, end, this.#stopped.signal);
    else await clock.nextTurn();
    const now = clock.now();
    this.#listener.passed(this.#group.end(), now);
    return Math.max(end, now - CATCH_UP_MS);
  }

  /** Waits for the next end of a copy, or until a pass can begin; when it may. @unit milliseconds */
  async #awaitCopy(clock: EngineClock): Promise<number> {
    const pause = this.#pause = new AbortController();
    const due = this.#group.nextMs;
    if (due > clock.now()) await waitUntil(clock, due, pause.signal);
    else await clock.nextTurn();
    this.#pause = undefined;
    const now = clock.now();
    this.#endCopies(now);
    return pause.signal.aborted ? now : Math.max(due, now - CATCH_UP_MS);
  }

  #endCopies(now: number): void {
    while (this.#group.nextMs <= now) this.#listener.copied(this.#group.advance(now));
  }
}

/** Waits more precisely than a timer does. Where time stands still between turns, a timer has to do. */
async function waitUntil(clock: EngineClock, time: number, signal: AbortSignal): Promise<void> {
  if (time - TIMER_LATENESS_MS > clock.now()) await clock.sleepUntil(time - TIMER_LATENESS_MS, signal);
  let last = -Infinity;
  for (let now = clock.now(); now < time && now > last && !signal.aborted; now = clock.now()) {
    last = now;
    await clock.nextTurn();
  }
  await clock.sleepUntil(time, signal);
}
