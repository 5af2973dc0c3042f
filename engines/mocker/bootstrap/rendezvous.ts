/**
 * Who waits for whom on a prefill worker.
 *
 * @source dynamo-llm 1.6.1, `mocker/handoff.rs`, `run_manager`
 * @module
 */
import type { Backend } from "../args.ts";
import { type HandoffOrder, isSameSession, type SessionIdentity } from "./message.ts";

/** One of two that have to meet. */
export interface Participant {
  /** The session it is there for. */
  readonly identity: SessionIdentity;
  /** The order it expects. */
  readonly order: HandoffOrder;
  /** Whose scheduling it imitates. */
  readonly engineType: Backend;
}

/** What comes of an arrival: it waits, or it meets the other, or there is no place for it, or it is wrong here. */
export type Arrival<Other> =
  | { readonly kind: "waiting" }
  | { readonly kind: "met"; readonly other: Other }
  | { readonly kind: "full" }
  | { readonly kind: "refused"; readonly why: string; readonly other?: Other };

interface Place<Source, Destination> {
  source?: Source;
  destination?: Destination;
}

/** Pairs requests with the decode workers that come for them, whichever is first. Each has to leave in the end. */
export class Rendezvous<Source extends Participant, Destination extends Participant> {
  readonly #limit: number;
  readonly #places = new Map<string, Place<Source, Destination>>();
  /** Sessions that are over, so that nobody waits for them: the latest, by age. */
  readonly #retired = new Set<string>();

  /** Makes an empty one. @param limit Sessions at a time, with those that are waited for. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Sessions, with those that are waited for. */
  get size(): number {
    return this.#places.size;
  }

  /** A request has come. */
  addSource(source: Source): Arrival<Destination> {
    return this.#add(source.identity.handoff_id, "source", source);
  }

  /** A decode worker has come. */
  addDestination(destination: Destination): Arrival<Source> {
    return this.#add(destination.identity.handoff_id, "destination", destination);
  }

  /** The session is over, also one that never began. */
  retire(handoffId: string): void {
    if (!this.#places.delete(handoffId)) return;
    this.#retired.add(handoffId);
    for (const oldest of this.#retired) {
      if (this.#retired.size <= this.#limit) break;
      this.#retired.delete(oldest);
    }
  }

  #add<Other extends Participant>(
    handoffId: string,
    side: "source" | "destination",
    who: Source | Destination,
  ): Arrival<Other> {
    if (this.#retired.has(handoffId)) return { kind: "refused", why: "the hand-over is over" };
    let place = this.#places.get(handoffId);
    if (place === undefined) {
      if (this.#places.size >= this.#limit) return { kind: "full" };
      place = {};
      this.#places.set(handoffId, place);
    }
    if (place[side] !== undefined) return { kind: "refused", why: `the hand-over has its ${side} already` };
    const other = (place.source ?? place.destination) as Other | undefined;
    if (other !== undefined && !fit(who, other)) {
      this.retire(handoffId);
      return { kind: "refused", why: "identity, order or engine type differ between prefill and decode", other };
    }
    Object.assign(place, { [side]: who });
    return other === undefined ? { kind: "waiting" } : { kind: "met", other };
  }
}

function fit(one: Participant, other: Participant): boolean {
  return isSameSession(one.identity, other.identity) && one.order === other.order &&
    one.engineType === other.engineType;
}
