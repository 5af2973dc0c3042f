/**
 * Whether routers can hear of a worker's KV blocks, tried once with the first event.
 *
 * @module
 */
import type { Discovery } from "../discovery/discovery.ts";
import type { EventPublisher } from "../event_plane/event_plane.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import { decodeEventSource } from "../protocol/event_record.ts";

/** What a test works with. */
export interface SelfTestParts {
  /** Publisher of KV events, which is announced. */
  readonly publisher: EventPublisher;
  /** Rank that it speaks for. */
  readonly dpRank: number;
  /** Name of the event plane. */
  readonly plane: string;
  /** Records. */
  readonly discovery: Discovery;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
}

/** How long a start waits for the subscription. @unit milliseconds */
const BEGIN_MS = 1000;
/** How long the first event may take to come back. @unit milliseconds */
const ECHO_MS = 10_000;

/**
 * Subscribes to a publisher's own events until the first has come back, or has not. One warning says what is wrong and
 * what to do; a worker that cannot be heard serves all the same. Disposing it ends it without a word.
 */
export class SelfTest implements Disposable {
  /** Resolves when the first event can be published; it never takes long. */
  readonly begun: Promise<void>;
  readonly #parts: SelfTestParts;
  readonly #readBack: ReturnType<EventPublisher["readBack"]>;
  readonly #over = new AbortController();
  #hasPublished = false;

  /** Begins to subscribe. */
  constructor(parts: SelfTestParts) {
    this.#parts = parts;
    this.#readBack = parts.publisher.readBack();
    const begun = new AbortController();
    void this.#readBack.begun.then(() => begun.abort());
    const signal = AbortSignal.any([begun.signal, this.#over.signal]);
    this.begun = delay(parts.clock, BEGIN_MS, signal);
  }

  /** To be told of every event that is published; only the first matters. */
  published(): void {
    if (this.#hasPublished) return;
    this.#hasPublished = true;
    if (!this.#over.signal.aborted) void this.#judge();
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    void Promise.resolve(this.#readBack[Symbol.asyncDispose]()).catch(() => {});
  }

  async #judge(): Promise<void> {
    const { log, dpRank, publisher, clock } = this.#parts;
    const heard = new AbortController();
    void this.#readBack.message.then(() => heard.abort());
    await delay(clock, ECHO_MS, AbortSignal.any([heard.signal, this.#over.signal]));
    const faults = [heard.signal.aborted ? null : this.#silence(), await this.#recordFault()].filter((each) =>
      each !== null
    );
    if (this.#over.signal.aborted) return;
    this[Symbol.dispose]();
    const fields = { dp_rank: dpRank, publisher: String(publisher.id) };
    if (faults.length === 0) return log.debug("The first KV event has come back", fields);
    log.warn(`This worker will not be KV-routed: ${faults.join("; ")}`, fields);
  }

  #silence(): string {
    const { publisher: { transport }, plane } = this.#parts;
    const { address, fault } = this.#readBack;
    const cause = fault === null ? "" : ` (${fault.message})`;
    const fix = plane === "nats"
      ? "check that the server of NATS_SERVER runs and can be reached"
      : transport?.kind === "Zmq"
      ? "set DYN_EVENT_PLANE_HOST to an address of this machine that routers can reach"
      : "check that the broker of DYN_ZMQ_BROKER_URL runs and can be reached";
    return `its first KV event did not come back from ${address} within ${ECHO_MS / 1000} s${cause}; ${fix}`;
  }

  /** Routers take the events of a rank only while exactly one record says whose they are. */
  async #recordFault(): Promise<string | null> {
    const { discovery, dpRank, publisher } = this.#parts;
    const records = await discovery.list("v1/event_sources").catch(() => null);
    if (records === null) return null;
    const ids = records.flatMap(({ value }) => sourceOf(value, discovery.instanceId, dpRank));
    if (!ids.includes(publisher.id)) return "its EventSource record is gone from discovery; restart the worker";
    if (ids.length === 1) return null;
    return `${ids.length} publishers speak for its rank ${dpRank}, so routers ignore them all; stop the other one`;
  }
}

/** Id of the publisher that a record names for a worker's rank, if it does. */
function sourceOf(text: string, workerId: bigint, dpRank: number): bigint[] {
  try {
    const { publisher_id, metadata: { worker } } = decodeEventSource(text);
    return worker.worker_id === workerId && worker.dp_rank === dpRank ? [publisher_id] : [];
  } catch {
    return []; // somebody else's, which a router cannot read either
  }
}
