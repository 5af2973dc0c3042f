/**
 * Whether the head of the queue may run, and with how much of it cached.
 *
 * @source aisimulate-core 0.13.0, `vllm/policy.rs`, `vllm_backend.rs`
 * @module
 */
import type { PrefixHits } from "./block_pool.ts";
import type { EngineRequest } from "./engine_request.ts";
import type { GroupedCache } from "./grouped_cache.ts";
import type { StateCache } from "./states/state_cache.ts";
import type { VllmState } from "./vllm_state.ts";

/** The head may run. */
export const ADMIT = 0;
/** It has to wait, and all behind it. */
export const WAIT = 1;
/** It can never run. */
export const REJECT = 2;
/** What is decided about the head. */
export type Decision = typeof ADMIT | typeof WAIT | typeof REJECT;

/** Looks prefixes up and decides about requests. */
export class VllmAdmission {
  readonly #state: VllmState;
  readonly #hits: PrefixHits = { blocks: 0, active: 0 };
  /** Tokens that the request last looked at may take from the cache. @unit tokens */
  cachedTokens = 0;
  #activeBlocks = 0;

  /** Decides over one rank. */
  constructor(state: VllmState) {
    this.#state = state;
  }

  /** Leading blocks of the request last looked up that are in the cache. */
  get foundBlocks(): number {
    return this.#hits.blocks;
  }

  /** Looks a request up. */
  probe({ sequence, hashedBlocks }: EngineRequest): void {
    this.#state.pool.probe(sequence, hashedBlocks, this.#hits);
  }

  /** Lets only the first blocks count, which the request already has. */
  countOnly(blocks: number): void {
    this.#hits.blocks = this.#hits.active = blocks;
  }

  /** Looks a request up and leaves in `cachedTokens` what it need not compute. */
  lookUp(request: EngineRequest): void {
    const { states } = this.#state;
    if (states !== undefined) {
      this.cachedTokens = states.find(request).cachedTokens;
      return;
    }
    this.probe(request);
    this.#limit(request);
  }

  #limit(request: EngineRequest): void {
    const { blockSize, isNoEvict, args, maxModelLength } = this.#state;
    let blocks = this.#hits.blocks;
    this.#activeBlocks = this.#hits.active;
    if (request.remaining(maxModelLength) > 0 && !isNoEvict) {
      // The last token has to be computed to sample from it, and blocks are computed whole.
      blocks = Math.min(blocks, Math.floor(Math.max(0, request.knownTokens - 1) / blockSize));
      if (args.aic_nextn !== null && blocks > 0) blocks--;
      this.#activeBlocks = Math.min(this.#activeBlocks, blocks);
    }
    this.cachedTokens = blocks * blockSize;
  }

  /**
   * Decides about the request last looked up, whose prompt is not there yet.
   *
   * @param ownBlocks Blocks it has already.
   * @param promised Blocks that are kept for others.
   */
  decide(request: EngineRequest, ownBlocks: number, promised: number): Decision {
    const state = this.#state;
    const { pool, isNoEvict } = state;
    const known = state.blocksFor(request.knownTokens);
    const whole = this.#completionBlocks(request);
    if (request.status === "waiting" && (isNoEvict ? whole : known) > pool.capacity) return REJECT;
    this.#limit(request);
    const unused = pool.capacity - pool.active;
    if (!isNoEvict) return known - Math.max(this.#activeBlocks, ownBlocks) > unused - promised ? WAIT : ADMIT;
    return whole - this.#activeBlocks > unused - this.#promisedBlocks(request) ? WAIT : ADMIT;
  }

  /**
   * Decides about a request whose context goes into a grouped cache.
   *
   * @param budget Tokens that the pass may still give. @unit tokens
   */
  decideGrouped({ knownTokens }: EngineRequest, grouped: GroupedCache, budget: number): Decision {
    this.cachedTokens = 0;
    if (grouped.needed(Math.max(0, knownTokens - 1), knownTokens).bytes > grouped.capacity) return REJECT;
    if (budget === 0 || !this.#state.args.enable_chunked_prefill && knownTokens > budget) return WAIT;
    const { bytes } = grouped.needed(0, Math.min(knownTokens, budget));
    // More than there is at all is not a matter of waiting: scheduling says so.
    return bytes <= grouped.capacity && bytes > grouped.free ? WAIT : ADMIT;
  }

  /** Decides about a request whose context has states. */
  decideStates(request: EngineRequest, states: StateCache): Decision {
    const { pool } = states;
    const isTooLarge = this.#state.blocksFor(request.knownTokens) > pool.capacity;
    if (request.status === "waiting" && isTooLarge || request.knownTokens === 0) return REJECT;
    const hit = states.find(request);
    this.cachedTokens = hit.cachedTokens;
    const needed = states.needed(request, hit);
    if (needed === Infinity) return REJECT;
    return needed > pool.capacity - pool.active ? WAIT : ADMIT;
  }

  /** Blocks that prompts in the batch will still need. */
  promptBlocks(): number {
    let blocks = 0;
    for (const request of this.#state.running) {
      if (request.computedTokens >= request.promptTokens) continue;
      blocks += Math.max(
        0,
        this.#state.blocksFor(request.knownTokens) - this.#state.blocksFor(request.allocatedTokens),
      );
    }
    return blocks;
  }

  /** Whether a prompt that another worker computes may take blocks now. */
  mayReserve(request: EngineRequest): boolean {
    const { pool, isNoEvict } = this.#state;
    if (!isNoEvict) return true;
    return this.#completionBlocks(request) <= pool.capacity - pool.active - this.#promisedBlocks(request);
  }

  /**
   * Checks that a prompt from another worker can fit at all.
   *
   * @throws {RangeError} If it cannot.
   */
  checkDestination(request: EngineRequest): void {
    const state = this.#state;
    if (request.promptTokens >= state.maxModelLength) {
      throw new RangeError(`Cannot take over ${request.promptTokens} prompt tokens: max_model_len is too small`);
    }
    const blocks = state.isNoEvict ? this.#completionBlocks(request) : state.blocksFor(request.knownTokens);
    if (blocks > state.pool.capacity) {
      throw new RangeError(`Cannot take over ${request.promptTokens} prompt tokens: they exceed the block pool`);
    }
  }

  #completionBlocks({ promptTokens, maxOutputTokens }: EngineRequest): number {
    return this.#state.blocksFor(promptTokens + maxOutputTokens);
  }

  /** What running requests and those in hand-over may still take before they end. */
  #promisedBlocks(except: EngineRequest): number {
    const { running, reserved, activated } = this.#state;
    let blocks = 0;
    for (const request of running) blocks += this.#missingBlocks(request);
    for (const request of reserved) blocks += this.#missingBlocks(request);
    for (const request of activated) {
      if (request !== except && request.status !== "running") blocks += this.#missingBlocks(request);
    }
    return blocks;
  }

  #missingBlocks(request: EngineRequest): number {
    return Math.max(0, this.#completionBlocks(request) - request.blockCount);
  }
}
