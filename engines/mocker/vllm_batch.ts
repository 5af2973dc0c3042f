/**
 * What one pass of a vLLM rank computes: who gets how many tokens, with which blocks.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/core.rs`, `schedule_request`, `compute_fpm`
 * @module
 */
import { modelledMs } from "./duration.ts";
import { type EngineRequest, NO_PASS } from "./engine_request.ts";
import type { ForwardPassTally } from "./forward_pass.ts";
import { alignedTokens } from "./states/state_alignment.ts";
import type { TimingModel } from "./timing.ts";
import type { VllmState } from "./vllm_state.ts";

/** The request has its tokens. */
export const SCHEDULED = 0;
/** There is no room for it; nothing changed. */
export const BLOCKED = 1;
/** It lost its own blocks in the attempt. */
export const PREEMPTED_ITSELF = 2;
/** It would stop where no state may begin; nothing changed. */
export const UNALIGNED = 3;
/** How an attempt to schedule went. */
export type Outcome = typeof SCHEDULED | typeof BLOCKED | typeof PREEMPTED_ITSELF | typeof UNALIGNED;

/** The requests of the pass that is being computed. */
export class VllmBatch {
  readonly #state: VllmState;
  readonly #timing: TimingModel;
  #requests: EngineRequest[] = [];
  #number = 0;
  #budget = 0;
  #hasPreempted = false;
  // Sums over the requests of the pass that have prompt tokens: how many, their ends, their beginnings.
  #prompts = 0;
  #lengths = 0;
  #prefixes = 0;

  /** Batches of one rank. */
  constructor(state: VllmState, timing: TimingModel) {
    this.#state = state;
    this.#timing = timing;
  }

  /** The pass, as `scheduledIn` names it. */
  get number(): number {
    return this.#number;
  }

  /** Tokens that may still be given. @unit tokens */
  get budget(): number {
    return this.#budget;
  }

  /** Whether a request has lost its blocks for another one. */
  get hasPreempted(): boolean {
    return this.#hasPreempted;
  }

  /** Begins the next pass. */
  begin(): void {
    this.#requests = [];
    this.#number++;
    this.#budget = this.#state.args.max_num_batched_tokens ?? Infinity;
    this.#hasPreempted = false;
    this.#prompts = this.#lengths = this.#prefixes = 0;
  }

  /** Gives a request as many tokens as budget and blocks allow; others may lose theirs for it. */
  schedule(request: EngineRequest, cached: number): Outcome {
    const { args, states } = this.#state;
    const before = request.computedTokens + cached;
    const prompt = request.promptTokens;
    const promptBefore = Math.min(before, prompt);
    const remaining = Math.max(0, request.knownTokens - before);
    if (!args.enable_chunked_prefill && prompt > promptBefore && prompt - promptBefore > this.#budget) return BLOCKED;
    let tokens = Math.min(remaining, this.#budget);
    if (states !== undefined) tokens = alignedTokens(args, request, before, tokens);
    if (tokens === 0 && remaining > 0) return this.#budget > 0 ? UNALIGNED : BLOCKED;
    const after = before + tokens;
    if (this.#state.grouped !== undefined) this.#checkBytes(request, before, after);
    if (after > request.allocatedTokens || states !== undefined) {
      const outcome = this.#allocate(request, after, cached);
      if (outcome !== SCHEDULED) return outcome;
    }
    request.computedTokens = after;
    if (states === undefined) this.#makeVisible(request);
    else states.computed(request, after);

    request.scheduledIn = this.#number;
    request.scheduledTokens = tokens;
    request.scheduledPrefix = promptBefore;
    request.scheduledPrompt = Math.max(0, Math.min(after, prompt) - promptBefore);
    this.#requests.push(request);
    if (request.scheduledPrompt > 0 && args.worker_type !== "decode") this.#countPrefill(request, 1);
    this.#budget -= tokens;
    return SCHEDULED;
  }

  /** How many requests still are in the batch. */
  get size(): number {
    return this.#requests.reduce((count, { scheduledIn }) => scheduledIn === this.#number ? count + 1 : count, 0);
  }

  /** How long their prompts take. @unit milliseconds */
  prefillMs(): number {
    const { args } = this.#state;
    if (this.#prompts === 0) return 0;
    const length = Math.floor(this.#lengths / this.#prompts);
    const prefix = Math.floor(this.#prefixes / this.#prompts);
    if (length <= prefix) return 0;
    return modelledMs(this.#timing.prefillMs(this.#prompts, length, prefix), args.speedup_ratio);
  }

  /** Counts the requests into the metrics of the pass. */
  addTo(tally: ForwardPassTally): void {
    const { maxModelLength } = this.#state;
    for (const request of this.#requests) {
      if (request.scheduledIn !== this.#number) continue;
      if (request.scheduledPrompt > 0) {
        tally.addPrefill(request.promptTokens, request.scheduledPrefix, request.scheduledTokens);
      } else if (request.remaining(maxModelLength) > 0) {
        tally.addDecode(request.knownTokens);
      }
    }
  }

  #allocate(request: EngineRequest, tokens: number, cached: number): Outcome {
    const state = this.#state;
    const before = request.blockCount;
    if (state.hasPlainBlocks && state.blocksFor(tokens) <= before) {
      request.allocatedTokens = tokens;
      return SCHEDULED;
    }
    const hits = Math.max(0, Math.floor(cached / state.blockSize) - before);
    while (!this.#acquire(request, tokens, hits, cached)) {
      const victim = state.preempt();
      if (victim === undefined) return BLOCKED;
      this.#hasPreempted = true;
      if (victim.scheduledIn === this.#number) {
        this.#budget += victim.scheduledTokens;
        if (victim.scheduledPrompt > 0 && state.args.worker_type !== "decode") this.#countPrefill(victim, -1);
        victim.scheduledIn = NO_PASS;
      }
      if (victim === request) return PREEMPTED_ITSELF;
    }
    request.allocatedTokens = Math.max(request.allocatedTokens, tokens);
    if (hits > 0) request.cachedBlocks = hits;
    state.host?.fence(request, before + hits);
    return SCHEDULED;
  }

  #acquire(request: EngineRequest, tokens: number, hits: number, cached: number): boolean {
    const { grouped, states, pool } = this.#state;
    if (states !== undefined) return states.acquire(request, tokens, cached);
    if (grouped !== undefined) return grouped.acquire(request, request.allocatedTokens, tokens);
    return pool.acquire(request, this.#state.blocksFor(tokens), hits);
  }

  #checkBytes(request: EngineRequest, before: number, after: number): void {
    const { grouped } = this.#state;
    const bytes = grouped?.needed(before, after).bytes ?? 0;
    if (grouped === undefined || bytes <= grouped.capacity) return;
    throw new RangeError(
      `Cannot schedule request ${request.id}: ${after - before} tokens after ${before} need ${bytes} bytes of the ` +
        `grouped cache, which has ${grouped.capacity}; lower max_num_batched_tokens or give it more memory`,
    );
  }

  /** Blocks that are full now can be found at once, even by the next request of the same pass. */
  #makeVisible(request: EngineRequest): void {
    const { args, blockSize } = this.#state;
    if (!args.enable_prefix_caching || request.computedTokens < (request.cachedBlocks + 1) * blockSize) return;
    this.#state.makeVisible(request, request.computedTokens);
  }

  #countPrefill(request: EngineRequest, sign: 1 | -1): void {
    this.#prompts += sign;
    this.#lengths += sign * (request.scheduledPrefix + request.scheduledPrompt);
    this.#prefixes += sign * request.scheduledPrefix;
  }
}
