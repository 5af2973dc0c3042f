/**
 * What etcd refuses for a moment, and what it refuses for good.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { isPassing } from "./etcd_client.ts";
import { EtcdError } from "./etcd_error.ts";

/** How long a thing has been refused. An etcd that was set up anew may refuse until its users are there again. */
export class Refusal {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  #since: number | null = null;

  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** Takes a failure. Returns whether it, and those before it, are a refusal for good. */
  isFinal(error: unknown): boolean {
    if (isPassing(error) || (error instanceof EtcdError && error.fault === "missing")) return false;
    const now = this.#clock.now();
    this.#since ??= now;
    return now - this.#since >= this.#patienceMs;
  }

  /** It was granted. */
  over(): void {
    this.#since = null;
  }
}
