/**
 * One deadline for the whole shutdown, from which every stage draws.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";

/** Settings of a shutdown. */
export interface ShutdownOptions {
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Time for everything after the grace. @unit seconds @env DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT */
  readonly timeoutSeconds: number;
  /** Time to go on serving after leaving discovery. @unit seconds @env DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS */
  readonly graceSeconds: number;
}

/** Work that must be over before the reserve begins, and work that may use the reserve. */
export type ShutdownStage = "start" | "grace" | "in_flight" | "drain" | "cleanup" | "records";

/** Most of the time that is kept back for errors, `cleanup` and records. @unit seconds */
const RESERVE_SECONDS = 5;
/** Its greatest share of the whole. */
const RESERVE_SHARE = 1 / 3;
/** Share of the reserve that is left to records when `cleanup` takes all it can. */
const RECORDS_SHARE = 1 / 5;
/** Time that forced stages get when a second signal comes. @unit seconds */
const FORCED_SECONDS = 5;

/**
 * The time a shutdown has, counted from the first signal.
 *
 * `start`, `grace`, `in_flight` and `drain` end at the deadline less the reserve, `cleanup` a little before the deadline,
 * `records` at the deadline. A second signal ends the first four at once.
 */
export class ShutdownBudget {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #options: ShutdownOptions;
  readonly #forced = new AbortController();
  readonly #hurried = new AbortController();
  #startedAt: number | null = null;
  #hasOverrun = false;

  constructor(options: ShutdownOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#options = options;
  }

  /** Starts the clock; later calls change nothing. */
  begin(): void {
    this.#startedAt ??= this.#clock.now();
  }

  /** Resolves when there is no point in waiting for requests. */
  get hurried(): Promise<void> {
    return aborted(this.#hurried.signal);
  }

  /** Skips the grace, and waiting for requests. */
  hurry(): void {
    this.begin();
    this.#hurried.abort();
  }

  /** Skips to the forced stages. */
  force(): void {
    this.hurry();
    this.#forced.abort();
  }

  /** Whether a second signal or the deadline cut something short. */
  get wasCut(): boolean {
    return this.#hasOverrun || this.#forced.signal.aborted;
  }

  /** Milliseconds the stage has left. */
  remainingMs(stage: ShutdownStage): number {
    this.begin();
    const { timeoutSeconds, graceSeconds } = this.#options;
    const elapsed = (this.#clock.now() - this.#startedAt!) / 1000;
    const total = timeoutSeconds + graceSeconds;
    const reserve = Math.min(RESERVE_SECONDS, timeoutSeconds * RESERVE_SHARE);
    if (stage === "cleanup" || stage === "records") {
      const floor = this.#forced.signal.aborted ? Math.min(FORCED_SECONDS, timeoutSeconds) : 0;
      const kept = stage === "cleanup" ? reserve * RECORDS_SHARE : 0;
      return 1000 * Math.max(total - kept - elapsed, floor);
    }
    if (this.#forced.signal.aborted) return 0;
    return 1000 * Math.max(0, total - reserve - elapsed);
  }

  /**
   * Runs a stage for as long as it may take. It never throws and never outlives its share: work that goes on longer is
   * left behind, after its signal was aborted.
   *
   * @returns Whether the work ended by itself and well.
   */
  async run(stage: ShutdownStage, work: (signal: AbortSignal) => unknown): Promise<boolean> {
    const budgetMs = this.remainingMs(stage);
    const startedAt = this.#clock.now();
    const over = new AbortController();
    const cut = new Promise<"cut">((resolve) => over.signal.addEventListener("abort", () => resolve("cut")));
    using _timer = this.#clock.timer(budgetMs, () => over.abort());
    const force = () => this.remainingMs(stage) === 0 && over.abort();
    this.#forced.signal.addEventListener("abort", force);
    try {
      const done = Promise.resolve().then(() => work(over.signal)).then(() => "done" as const);
      const outcome = await Promise.race([done, cut]);
      if (outcome === "done") return true;
      done.catch(() => {});
      this.#hasOverrun = true;
      this.#log.warn(`Shutdown stage ${stage} ran out of time`, {
        after_ms: Math.round(this.#clock.now() - startedAt),
      });
    } catch (error) {
      this.#log.error(`Shutdown stage ${stage} failed`, { error });
    } finally {
      this.#forced.signal.removeEventListener("abort", force);
    }
    return false;
  }

  /** Sleeps the grace in full, unless there is a hurry. */
  async grace(): Promise<void> {
    const { graceSeconds } = this.#options;
    if (graceSeconds === 0 || this.#hurried.signal.aborted) return;
    this.#log.info(`Grace period ${graceSeconds.toFixed(2)}s before new requests are refused`);
    await delay(this.#clock, 1000 * graceSeconds, this.#hurried.signal);
  }
}

/** Resolves when the signal aborts, at once if it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
