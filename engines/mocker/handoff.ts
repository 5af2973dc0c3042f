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

/** What says how long the KV of a prompt travels, in the words of the wire. */
export interface TransferTiming {
  /** Whether a whole prompt travels or only what is missing. */
  readonly mode: "full_prompt" | "destination_missing";
  /** Length of the prompt. @unit tokens */
  readonly full_prompt_tokens: number;
  /** What travels; `null`: it takes no time. @unit bytes */
  readonly kv_bytes_per_token: number | null;
  /** `null` or 0: it takes no time. @unit gigabytes per second */
  readonly bandwidth_gb_s: number | null;
}

/** The timing of a prompt that is computed with these arguments. */
export function transferTiming(args: EngineArgs, promptTokens: number): TransferTiming {
  return {
    mode: args.kv_transfer_timing_mode,
    full_prompt_tokens: promptTokens,
    kv_bytes_per_token: args.kv_transfer_bytes_per_token,
    bandwidth_gb_s: args.kv_transfer_bandwidth,
  };
}

/**
 * How long the KV of a prompt travels from one worker to another.
 *
 * @param missingTokens What the destination does not have yet. @unit tokens
 * @returns Milliseconds; 0 if bandwidth or bytes are not set.
 * @source aisimulate-core 0.13.0, `handoff.rs`, `HandoffTransferTiming::delay_ms`
 */
export function transferMs(timing: TransferTiming, missingTokens: number): number {
  const { mode, full_prompt_tokens, kv_bytes_per_token: bytes, bandwidth_gb_s: bandwidth } = timing;
  if (bytes === null || bandwidth === null || bandwidth <= 0) return 0;
  const tokens = mode === "full_prompt" ? full_prompt_tokens : missingTokens;
  return tokens * bytes / (bandwidth * 1e9) * 1000;
}
