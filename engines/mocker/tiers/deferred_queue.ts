/**
 * Requests that wait for a copy.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/core.rs`, `connector_waiting`
 * @module
 */
import type { EngineRequest } from "../engine_request.ts";

/**
 * Requests in the order in which they were deferred first. They sleep until any copy ends, then they are looked at before
 * the queue they came from. One that leaves from the middle and is deferred again has its old place.
 */
export class DeferredQueue {
  readonly #order: EngineRequest[] = [];
  readonly #awake = new Set<EngineRequest>();
  readonly #asleep = new Set<EngineRequest>();

  /** How many wait. */
  get size(): number {
    return this.#awake.size + this.#asleep.size;
  }

  /** Whether any of them is to be looked at. */
  get hasAwake(): boolean {
    return this.#awake.size > 0;
  }

  /** Whether a request waits here. */
  has(request: EngineRequest): boolean {
    return this.#awake.has(request) || this.#asleep.has(request);
  }

  /** Lets a request sleep, at its place if it has one, else behind all others. */
  defer(request: EngineRequest): void {
    if (!this.#awake.delete(request) && !this.#asleep.has(request)) this.#order.push(request);
    this.#asleep.add(request);
  }

  /** Wakes all. */
  wake(): void {
    for (const request of this.#asleep) this.#awake.add(request);
    this.#asleep.clear();
  }

  /** The first that is awake. */
  first(): EngineRequest | undefined {
    if (!this.hasAwake) return undefined;
    while (this.#order.length > 0 && !this.has(this.#order[0]!)) this.#order.shift();
    return this.find(() => true);
  }

  /** The first that is awake and wanted. */
  find(isWanted: (request: EngineRequest) => boolean): EngineRequest | undefined {
    return this.#order.find((request) => this.#awake.has(request) && isWanted(request));
  }

  /** Takes a request out; whether it was there. */
  remove(request: EngineRequest): boolean {
    if (!this.#awake.delete(request) && !this.#asleep.delete(request)) return false;
    if (this.#order[0] === request) this.#order.shift();
    return true;
  }
}
