/**
 * Prompts that another worker computes: those that wait for room here, and those that have it.
 *
 * @module
 */
import type { EngineArgs } from "./args.ts";
import type { EngineRequest } from "./engine_request.ts";

const NEVER = -1;

/**
 * Destinations that wait for blocks, in order of arrival. The first is tried once for every change of capacity.
 *
 * @source aisimulate-core 0.13.0, `source_holds.rs`, `PendingDestinations`
 */
export class PendingDestinations {
  readonly #queue: { readonly request: EngineRequest; triedAt: number }[] = [];
  #generation = 0;

  /** How many wait. */
  get size(): number {
    return this.#queue.length;
  }

  /** Adds one at the end. */
  push(request: EngineRequest): void {
    this.#queue.push({ request, triedAt: NEVER });
  }

  /** Tells that blocks or places became free. */
  capacityChanged(): void {
    this.#generation++;
  }

  /** The first, if capacity changed since it was tried last; counts as tried. */
  takeTurn(): EngineRequest | undefined {
    const first = this.#queue[0];
    if (first === undefined || first.triedAt === this.#generation) return undefined;
    first.triedAt = this.#generation;
    return first.request;
  }

  /** Takes the first out. */
  shift(): void {
    this.#queue.shift();
  }

  /** Takes one out, wherever it is; whether it was there. */
  remove(request: EngineRequest): boolean {
    const place = this.#queue.findIndex((pending) => pending.request === request);
    if (place < 0) return false;
    this.#queue.splice(place, 1);
    return true;
  }

  /** All that wait. */
  *[Symbol.iterator](): Generator<EngineRequest> {
    for (const { request } of this.#queue) yield request;
  }
}

/**
 * How long the KV of a prompt travels from one worker to another.
 *
 * @param missingTokens What the destination does not have yet. @unit tokens
 * @returns Milliseconds; 0 if bandwidth or bytes are not set.
 * @source aisimulate-core 0.13.0, `handoff.rs`, `HandoffTransferTiming::delay_ms`
 */
export function transferMs(args: EngineArgs, promptTokens: number, missingTokens: number): number {
  const { kv_transfer_bytes_per_token: bytes, kv_transfer_bandwidth: bandwidth, kv_transfer_timing_mode: mode } = args;
  if (bytes === null || bandwidth === null || bandwidth <= 0) return 0;
  const tokens = mode === "full_prompt" ? promptTokens : missingTokens;
  return tokens * bytes / (bandwidth * 1e9) * 1000;
}
