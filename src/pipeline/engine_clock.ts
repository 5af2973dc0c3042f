/**
 * Time for engines, over the platform's clock.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import type { Clock } from "../platform/platform.ts";

type Wake = () => void;

/** Longest timer that every runtime keeps. @unit milliseconds */
const MAX_TIMER_MS = 2 ** 31 - 1;

const known = new WeakMap<Clock, EngineClock>();

/** The clock that all requests over a platform's clock share, whichever worker of the process they belong to. */
export function createEngineClock(clock: Clock): EngineClock {
  const shared = known.get(clock) ?? makeEngineClock(clock);
  known.set(clock, shared);
  return shared;
}

function makeEngineClock(clock: Clock): EngineClock {
  // All that wait for the next turn share one promise, so a turn costs the same with one stream as with a thousand.
  let turn: Promise<void> | null = null;
  const nextTurn = (): Promise<void> =>
    turn ??= new Promise((resolve) =>
      clock.endOfTurn(() => {
        turn = null;
        resolve();
      })
    );
  const alarm = new Alarm(clock);
  const aborts = new WeakMap<AbortSignal, Set<Wake>>();
  const sleepUntil = (time: number, signal?: AbortSignal): Promise<void> => {
    // An engine that has not noticed its abort yet must not spin here and keep everything else from running.
    if (signal?.aborted) return nextTurn();
    if (time <= clock.now()) return Promise.resolve();
    return new Promise((resolve) => {
      const sleepers = signal === undefined ? null : sleepersOf(signal, aborts);
      const wake = () => {
        alarm.cancel(time, wake);
        sleepers?.delete(wake);
        resolve();
      };
      sleepers?.add(wake);
      alarm.set(time, wake);
    });
  };
  return { now: () => clock.now(), sleepUntil, nextTurn };
}

/** The sleepers that a signal wakes; one listener serves all sleeps of a request, since adding one is dear. */
function sleepersOf(signal: AbortSignal, aborts: WeakMap<AbortSignal, Set<Wake>>): Set<Wake> {
  const known = aborts.get(signal);
  if (known !== undefined) return known;
  const sleepers = new Set<Wake>();
  aborts.set(signal, sleepers);
  signal.addEventListener("abort", () => sleepers.forEach((wake) => wake()), { once: true });
  return sleepers;
}

/** One timer for everything that waits, by whole milliseconds. */
class Alarm {
  readonly #clock: Clock;
  readonly #due = new Map<number, Set<Wake>>();
  #next = Infinity;
  #timer: Disposable | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(time: number, wake: Wake): void {
    const tick = Math.ceil(time);
    const wakes = this.#due.get(tick);
    if (wakes !== undefined) return void wakes.add(wake);
    this.#due.set(tick, new Set([wake]));
    if (tick < this.#next) this.#arm(tick);
  }

  cancel(time: number, wake: Wake): void {
    const tick = Math.ceil(time);
    const wakes = this.#due.get(tick);
    if (wakes === undefined || !wakes.delete(wake) || wakes.size > 0) return;
    this.#due.delete(tick);
    if (this.#due.size === 0) this.#arm(Infinity);
  }

  #arm(tick: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#next = tick;
    const delay = Math.min(tick - this.#clock.now(), MAX_TIMER_MS);
    this.#timer = tick === Infinity ? null : this.#clock.timer(delay, this.#ring);
  }

  readonly #ring = (): void => {
    this.#timer = null;
    this.#next = Infinity;
    const now = this.#clock.now();
    let next = Infinity;
    for (const [tick, wakes] of this.#due) {
      if (tick > now) {
        next = Math.min(next, tick);
        continue;
      }
      this.#due.delete(tick);
      for (const wake of wakes) wake();
    }
    if (next < Infinity) this.#arm(next);
  };
}
