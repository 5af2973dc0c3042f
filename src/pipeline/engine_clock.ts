/**
 * Time for engines, over the platform's clock.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import { type Clock, delay } from "../platform/platform.ts";

/** Makes the clock that all requests of a worker share. */
export function createEngineClock(clock: Clock): EngineClock {
  // All that wait for the next turn share one promise, so a turn costs the same with one stream as with a thousand.
  let turn: Promise<void> | null = null;
  const nextTurn = (): Promise<void> =>
    turn ??= new Promise((resolve) =>
      clock.endOfTurn(() => {
        turn = null;
        resolve();
      })
    );
  const sleepUntil = (time: number, signal?: AbortSignal): Promise<void> => delay(clock, time - clock.now(), signal);
  return { now: () => clock.now(), sleepUntil, nextTurn };
}
