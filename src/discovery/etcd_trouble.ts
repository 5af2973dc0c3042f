/**
 * Lines about an etcd that comes and goes.
 *
 * @module
 */
import type { Log, LogFields } from "../observe/log.ts";
import type { Clock } from "../platform/platform.ts";

/** Least time between two warnings. @unit milliseconds */
const QUIET_MS = 30_000;

/** Warns once for each trouble, and at most every 30 seconds however often one begins. */
export class Trouble {
  readonly #clock: Clock;
  readonly #log: Log;
  #toldAt = -Infinity;
  #isTold = false;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Something failed, for the first time or again. */
  tell(message: string, fields: LogFields): void {
    const now = this.#clock.now();
    if (this.#isTold || now - this.#toldAt < QUIET_MS) return;
    this.#isTold = true;
    this.#toldAt = now;
    this.#log.warn(message, fields);
  }

  /** It is over. Returns whether it was told, so that its end is worth a line too. */
  over(): boolean {
    const wasTold = this.#isTold;
    this.#isTold = false;
    return wasTold;
  }
}
