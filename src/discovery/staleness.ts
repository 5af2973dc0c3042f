/**
 * Tells which files of the file backend are dead, without being fooled by a clock that jumps.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";

/** A wall clock that moves this much against the monotonic one has been set, not slewed. @unit milliseconds */
const JUMP_MS = 1000;

/** Judges files by their age. */
export interface Staleness {
  /**
   * Returns a test for the times of last modification of foreign files.
   *
   * Right after the wall clock was set forward every file looks dead. If all do, none is judged so until one TTL has
   * passed and their owners had time to touch them.
   *
   * @param foreign The times of all foreign files of the directory. @unit milliseconds since the Unix epoch
   */
  judge(foreign: readonly number[]): (modifiedAt: number) => boolean;
}

/** Makes a judge that calls files dead that were not touched for `ttlMs`. */
export function createStaleness(clock: Clock, ttlMs: number): Staleness {
  let offset = clock.wallTime() - clock.now();
  let jumpedAt = -Infinity;
  return {
    judge(foreign) {
      const now = clock.now();
      const wallTime = clock.wallTime();
      if (Math.abs(wallTime - now - offset) > JUMP_MS) jumpedAt = now;
      offset = wallTime - now;
      const isDead = (modifiedAt: number): boolean => wallTime - modifiedAt > ttlMs;
      return now - jumpedAt <= ttlMs && foreign.every(isDead) ? () => false : isDead;
    },
  };
}
