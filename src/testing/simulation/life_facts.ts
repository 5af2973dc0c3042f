/**
 * A life's events, sorted by what they are about.
 *
 * @module
 */
import type { SimulationEvent } from "./history.ts";
import type { Life } from "./life.ts";
import type { RequestPlan } from "./life_plan.ts";

/** Everything about one request, each list in order of time. */
export interface RequestFacts {
  /** Its id. */
  readonly id: string;
  /** Its plan. */
  readonly plan: RequestPlan;
  /** Its events. */
  readonly events: readonly SimulationEvent[];
  /** When its frontend was gone, if it was. @unit milliseconds */
  readonly frontendGoneAt: number;
  /** The first event of a kind. */
  first(...kinds: SimulationEvent["what"][]): SimulationEvent | undefined;
  /** All events of a kind. */
  all(...kinds: SimulationEvent["what"][]): readonly SimulationEvent[];
}

/** A life as the invariants look at it. */
export interface LifeFacts {
  /** The life. */
  readonly life: Life;
  /** Requests that were sent. */
  readonly requests: readonly RequestFacts[];
  /** When the worker was first told to stop, by a signal or a fault; `Infinity` if it never was. @unit milliseconds */
  readonly stoppedAt: number;
  /** When a signal came to a worker that was stopping already; `Infinity` if none did. @unit milliseconds */
  readonly forcedAt: number;
  /** When something threw that nobody caught; `Infinity` if nothing did while the worker was there. @unit milliseconds */
  readonly faultedAt: number;
  /** When requests have to be over: the deadline less the reserve. @unit milliseconds */
  readonly inFlightEndsAt: number;
  /** When the worker has to be gone. @unit milliseconds */
  readonly deadline: number;
  /** Time that a shutdown may take. @unit milliseconds */
  readonly totalMs: number;
  /** When it was gone; `Infinity` if it never was. @unit milliseconds */
  readonly exitedAt: number;
  /** The first event of a kind. */
  first(...kinds: SimulationEvent["what"][]): SimulationEvent | undefined;
  /** All events of a kind. */
  all(...kinds: SimulationEvent["what"][]): readonly SimulationEvent[];
  /** Whether discovery was in trouble at some time from then on. */
  hadTrouble(from: number): boolean;
  /** Times between which the endpoint was published. */
  readonly published: readonly { readonly from: number; readonly to: number }[];
}

/** @source design: shutdown budget; the reserve is 5 s, at most a third of the time-out */
const RESERVE_SECONDS = 5;
const RESERVE_SHARE = 1 / 3;

/** Sorts the events of a life. */
export function lifeFacts(life: Life): LifeFacts {
  const { events, options, plan } = life;
  const lookup = lookupIn(events);
  const { first, all } = lookup;
  const exit = first("exit");
  const exitedAt = exit?.at ?? Infinity;
  const ofLife = lookupIn(exit === undefined ? events : events.slice(0, events.indexOf(exit)));
  const stops = ofLife.all("signal", "fault");
  const stoppedAt = stops[0]?.at ?? Infinity;
  const forcedAt = stops.slice(1).find(({ what }) => what === "signal")?.at ?? Infinity;
  const { graceSeconds, shutdownTimeoutSeconds } = options;
  const reserve = Math.min(RESERVE_SECONDS, shutdownTimeoutSeconds * RESERVE_SHARE);
  const totalMs = 1000 * (graceSeconds + shutdownTimeoutSeconds);
  return {
    life,
    requests: plan.requests.map((request) => requestFacts(request, events)).filter(({ first }) => first("sent")),
    stoppedAt,
    forcedAt,
    faultedAt: ofLife.first("fault")?.at ?? Infinity,
    inFlightEndsAt: stoppedAt + totalMs - 1000 * reserve,
    deadline: stoppedAt + totalMs,
    totalMs,
    exitedAt,
    ...lookup,
    hadTrouble: (from) =>
      all("store fails").some(({ at }) => from <= (all("store works").find((e) => e.at >= at)?.at ?? Infinity)),
    published: spans(all("published", "withdrawn").filter(({ detail }) => detail === "endpoint")),
  };
}

function requestFacts(plan: RequestPlan, events: readonly SimulationEvent[]): RequestFacts {
  const own = events.filter(({ id }) => id === plan.id);
  const name = `frontend-${plan.frontend + 1}`;
  const gone = events.find(({ what, detail }) => (what === "crash" || what === "cut off") && detail === name);
  return { id: plan.id, plan, events: own, frontendGoneAt: gone?.at ?? Infinity, ...lookupIn(own) };
}

function lookupIn(events: readonly SimulationEvent[]): Pick<LifeFacts, "first" | "all"> {
  return {
    first: (...kinds) => events.find(({ what }) => kinds.includes(what)),
    all: (...kinds) => events.filter(({ what }) => kinds.includes(what)),
  };
}

function spans(events: readonly SimulationEvent[]): LifeFacts["published"] {
  return events.filter(({ what }) => what === "published").map(({ at: from }) => {
    const to = events.find(({ what, at }) => what === "withdrawn" && at >= from)?.at ?? Infinity;
    return { from, to };
  });
}
