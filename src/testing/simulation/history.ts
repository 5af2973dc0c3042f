/**
 * What happened in a simulated world.
 *
 * @module
 */

/** What an event says, by who says it. */
export type EventKind =
  // the world
  | "begin"
  | "signal"
  | "fault"
  | "crash"
  | "cut off"
  | "store fails"
  | "store works"
  | "probe"
  | "exit"
  | "no exit"
  // the worker: what it logs, and what it is told on response connections
  | "log"
  | "dialled"
  | "told"
  | "finished"
  | "peer ended"
  | "lost"
  | "closed"
  | "ended"
  | "dropped"
  // discovery
  | "published"
  | "withdrawn"
  // the engine
  | "start"
  | "started"
  | "start failed"
  | "generate"
  | "yield"
  | "threw"
  | "finally"
  | "aborted"
  | "abort"
  | "drain"
  | "drained"
  | "cleanup"
  | "cleaned up"
  // a frontend
  | "sent"
  | "not sent"
  | "accepted"
  | "refused"
  | "unanswered"
  | "called"
  | "prologue"
  | "prologue error"
  | "item"
  | "error"
  | "final"
  | "sentinel"
  | "hung up"
  | "broken"
  | "malformed"
  | "does";

/** One event. */
export interface SimulationEvent {
  /** Virtual time since the world began. @unit milliseconds */
  readonly at: number;
  /** `world`, `worker`, `store`, `engine`, or a frontend. */
  readonly who: string;
  /** What happened. */
  readonly what: EventKind;
  /** The request it is about. */
  readonly id?: string;
  /** More about it. */
  readonly detail?: string;
  /** Tokens that were yielded or received. */
  readonly tokens?: readonly number[];
  /** Exit code or count. */
  readonly number?: number;
}

/** What may be said of an event beside who did what. */
export type EventFacts = Pick<SimulationEvent, "id" | "detail" | "tokens" | "number">;

/** The events of one life, in order. */
export class History {
  /** All events. */
  readonly events: SimulationEvent[] = [];
  readonly #now: () => number;

  /** Makes an empty history. @param now Virtual time, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds what just happened. */
  add(who: string, what: EventKind, facts: EventFacts = {}): void {
    this.events.push({ at: this.#now(), who, what, ...facts });
  }
}

/** An event as one line. */
export function formatEvent({ at, who, what, id, detail, tokens, number }: SimulationEvent): string {
  const parts = [
    at.toFixed(3).padStart(10),
    who.padEnd(10),
    (id ?? "").padEnd(4),
    what,
    tokens === undefined ? "" : `[${tokens.join(" ")}]`,
    detail ?? "",
    number === undefined ? "" : String(number),
  ];
  return parts.filter((part, i) => i < 3 || part !== "").join("  ").trimEnd();
}

/**
 * A number of 16 hexadecimal digits that two histories share only if they are the same, event by event.
 *
 * @source cyrb53 by bryc, here with both halves in full
 */
export function digestOf(events: readonly SimulationEvent[]): string {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  const take = (text: string): void => {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, 2654435761);
      b = Math.imul(b ^ unit, 1597334677);
    }
  };
  for (const event of events) take(`${formatEvent(event)}\n`);
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return [b, a].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
