/**
 * What a fault engine printed, as data.
 *
 * @module
 */
import type { Child } from "./processes.ts";

/** One line of the fault engine. */
export interface FaultEvent {
  readonly event: string;
  readonly id?: string;
  /** Unix time. @unit milliseconds */
  readonly at: number;
}

/** All events so far. */
export function faultEvents(worker: Child): FaultEvent[] {
  return worker.stdout().split("\n").filter((line) => line.startsWith('{"event"')).map((line) => JSON.parse(line));
}

/** Names of all events so far. */
export function eventNames(worker: Child): string[] {
  return faultEvents(worker).map((event) => event.event);
}
