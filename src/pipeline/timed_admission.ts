/**
 * Admission that knows since when the oldest request is inside.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { Admission, type Admitted, type Permit } from "./admission.ts";

/** An {@linkcode Admission} for operators who wait for it to become empty. */
export class TimedAdmission extends Admission {
  readonly #clock: Clock;
  /** Times of requests inside, in order of arrival. */
  readonly #arrivals = new Map<Admitted, number>();

  constructor(limit: number, queueLimit: number, clock: Clock) {
    super(limit, queueLimit);
    this.#clock = clock;
  }

  /** When the oldest request was taken in; `null` if nobody is inside. @unit milliseconds, by the clock */
  get oldestAt(): number | null {
    const [first] = this.#arrivals.values();
    return first ?? null;
  }

  override tryEnter(request: Admitted): Permit | null {
    const permit = super.tryEnter(request);
    if (permit === null) return null;
    this.#arrivals.set(request, this.#clock.now());
    return {
      entered: permit.entered,
      [Symbol.dispose]: () => {
        this.#arrivals.delete(request);
        permit[Symbol.dispose]();
      },
    };
  }
}
