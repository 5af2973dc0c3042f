/**
 * Time as the conformance kit sees it: limits for itself, a clock for the engine.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import { createEngineClock } from "../pipeline/engine_clock.ts";
import type { Clock } from "../platform/platform.ts";
import { VirtualClock } from "./virtual_clock.ts";

/** Sets a time limit. @param ms Time, in milliseconds. */
export type SetLimit = (ms: number, fire: () => void) => Disposable;

/** Time of one run of the kit. Disposing it drops every wait that is left. */
export interface KitTime extends Disposable {
  /** Time that really passed; only differences mean something. @unit milliseconds */
  now(): number;
  /** What engines wait by. */
  readonly engineClock: EngineClock;
  /** A limit in real time: how long the kit itself is willing to wait. */
  readonly patience: SetLimit;
  /** A limit in the engine's time, so that waits it skips count in full: what the contract grants the engine. */
  readonly deadline: SetLimit;
}

/** Makes the time of a run; `isReal` keeps waits as long as they are. */
export function createKitTime(clock: Clock, isReal: boolean): KitTime {
  if (isReal) {
    return {
      now: () => clock.now(),
      engineClock: createEngineClock(clock),
      patience: (ms, fire) => clock.timer(ms, fire),
      deadline: (ms, fire) => clock.timer(ms, fire),
      [Symbol.dispose]() {},
    };
  }
  const virtual = new VirtualClock(clock);
  return {
    now: () => clock.now(),
    engineClock: createEngineClock(virtual),
    patience: (ms, fire) => clock.timer(ms, fire),
    deadline: (ms, fire) => virtual.deadline(ms, fire),
    [Symbol.dispose]: () => virtual[Symbol.dispose](),
  };
}

/** How a call ended. */
export type Settled<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "threw"; readonly error: unknown }
  | { readonly kind: "late" };

/** Calls something that may hang, and gives it up after a time. @param ms Limit, in milliseconds. */
export async function within<T>(limit: SetLimit, ms: number, call: () => T | PromiseLike<T>): Promise<Settled<T>> {
  const { promise, resolve } = Promise.withResolvers<Settled<T>>();
  using _limit = limit(ms, () => resolve({ kind: "late" }));
  (async () => await call())().then(
    (value) => resolve({ kind: "done", value }),
    (error: unknown) => resolve({ kind: "threw", error }),
  );
  return await promise;
}

/** A clock that can be stopped for one stream: whoever waits by it then waits for ever, so that a stream which was given up does nothing more. */
export interface StoppableClock extends EngineClock {
  /** Stops it. */
  stop(): void;
}

/** Makes a view of a clock that can be stopped by itself. */
export function stoppable(clock: EngineClock): StoppableClock {
  let isStopped = false;
  const never = new Promise<void>(() => {});
  const unlessStopped = (wait: Promise<void>): Promise<void> => wait.then(() => isStopped ? never : undefined);
  return {
    now: () => clock.now(),
    sleepUntil: (time, signal) => unlessStopped(clock.sleepUntil(time, signal)),
    nextTurn: () => unlessStopped(clock.nextTurn()),
    stop: () => void (isStopped = true),
  };
}
