/**
 * How requests leave a worker that stops, or goes out of discovery for a while.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Admission } from "../pipeline/admission.ts";
import type { PrologueHold } from "../pipeline/prologue_hold.ts";
import { type Clock, delay } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { ShutdownBudget } from "./shutdown.ts";

/** What a {@linkcode Departure} works with. */
export interface DepartureParts {
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Time that is left. */
  readonly budget: ShutdownBudget;
  /** Places. */
  readonly admission: Admission;
  /** Prologues that wait. */
  readonly hold: PrologueHold;
}

/** Longest wait for requests that are calling home when the worker is to leave discovery. @unit milliseconds */
const PROLOGUE_SEND_MS = 500;
/** Time for frontends to read the prologues sent last. @unit milliseconds */
const PROLOGUE_READ_MS = 50;

/** The stages in which requests matter, in the order in which they are due. */
export class Departure {
  readonly #parts: DepartureParts;

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** Sends what is held back: frontends kill requests whose prologue they have not read when the record goes. */
  async sendPrologues(): Promise<void> {
    const { clock, admission, hold } = this.#parts;
    hold.release();
    if (admission.load.active === 0) return;
    const settled = new AbortController();
    hold.settled().then(() => settled.abort());
    await delay(clock, PROLOGUE_SEND_MS, settled.signal);
    await delay(clock, PROLOGUE_READ_MS);
  }

  /** Refuses new requests and lets those inside finish; what is left when time is up ends with a migratable error. */
  async endRequests(): Promise<void> {
    const { clock, log, budget, admission } = this.#parts;
    log.info("Phase 1: Refusing new requests");
    admission.close();
    const { active, queued } = admission.load;
    log.info("Phase 2: Waiting for requests to finish", { active, queued });
    const idle = admission.idle();
    await budget.run("in_flight", () => Promise.race([idle, budget.hurried]));
    const left = admission.load;
    if (left.active + left.queued === 0) return;
    log.warn("Ending requests that have not finished", { active: left.active, queued: left.queued });
    admission.expire(new DynamoError("EngineShutdown", "the worker is shutting down"));
    // An engine that ignores its aborts must leave cleanup some time.
    const ended = new AbortController();
    idle.then(() => ended.abort());
    await delay(clock, budget.remainingMs("cleanup") / 2, ended.signal);
  }
}
