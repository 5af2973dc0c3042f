/**
 * The tokens of a pass: who gets one, what the step costs, and who is over.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/core.rs`, `emit_ready_tokens`, `emit_speculative_ready_tokens`
 * @module
 */
import { modelledMs } from "./duration.ts";
import { EngineRequest } from "./engine_request.ts";
import { COMPLETED, type Pass, REJECTED, TOKEN } from "./pass.ts";
import type { DraftSampler } from "./speculation.ts";
import type { TimingModel } from "./timing.ts";
import type { VllmState } from "./vllm_state.ts";

/** Lets requests whose known tokens are all computed produce the next ones. */
export class VllmSteps {
  readonly #state: VllmState;
  readonly #timing: TimingModel;
  readonly #sampler: DraftSampler | undefined;
  /** Holds blocks that a step may need until it is known who needs them. */
  readonly #spare = new EngineRequest({
    id: -1,
    sequence: { hashes: new Uint32Array(0), hashThrough: () => {} },
    promptTokens: 0,
    maxOutputTokens: 0,
  });
  /** The same, of a cache with states. */
  #spareStates = 0;
  #ready: EngineRequest[] = [];

  /** Steps over one rank. */
  constructor(state: VllmState, timing: TimingModel, sampler: DraftSampler | undefined) {
    this.#state = state;
    this.#timing = timing;
    this.#sampler = sampler;
  }

  /**
   * Produces the tokens of a pass.
   *
   * @param number The pass, as `scheduledIn` names it.
   * @returns Time of the step. @unit milliseconds
   */
  run(pass: Pass, number: number): number {
    const { running, maxModelLength, args } = this.#state;
    const firstIsFree = args.worker_type === "aggregated" && this.#sampler === undefined;
    const ready: EngineRequest[] = [];
    let decoding = 0;
    let context = 0;
    for (const request of running) {
      if (request.computedTokens < request.knownTokens) continue;
      if (request.remaining(maxModelLength) === 0) {
        pass.signal(request, COMPLETED);
        continue;
      }
      ready.push(request);
      // The forward pass over a prompt also samples its first token.
      const isFree = firstIsFree && request.outputTokens === 0 && request.scheduledIn === number &&
        request.scheduledPrompt > 0;
      if (isFree) continue;
      decoding++;
      context += request.knownTokens;
    }
    this.#ready = ready;
    for (const request of pass.requests) this.#state.complete(request);
    let milliseconds = 0;
    if (this.#sampler !== undefined) {
      if (pass.requests.length > 0) this.#state.compactRunning();
      milliseconds = ready.length === 0 ? 0 : this.#runBursts(pass, this.#sampler);
    } else {
      milliseconds = this.#decodeMs(decoding, context);
      for (const request of ready) this.#emit(pass, request);
    }
    this.#state.compactRunning();
    return milliseconds;
  }

  #emit(pass: Pass, request: EngineRequest): void {
    request.knownTokens++;
    request.outputTokens++;
    if (request.remaining(this.#state.maxModelLength) > 0) {
      pass.signal(request, TOKEN);
    } else {
      pass.signal(request, TOKEN | COMPLETED);
      this.#state.complete(request);
    }
  }

  #decodeMs(batch: number, context: number): number {
    const { args, blockSize, grouped } = this.#state;
    if (batch === 0 || args.worker_type === "prefill") return 0;
    // A grouped cache has no number of tokens at which it is full.
    const capacity = grouped === undefined ? args.num_gpu_blocks * blockSize : context;
    const raw = this.#timing.decodeMs(batch, context, capacity);
    return modelledMs(raw, args.speedup_ratio * args.decode_speedup_ratio);
  }

  #runBursts(pass: Pass, sampler: DraftSampler): number {
    const { args } = this.#state;
    const isPrefill = args.worker_type === "prefill";
    const rejected: EngineRequest[] = [];
    const isReady = this.#reserve(isPrefill ? 1 : sampler.maxBurst, rejected);
    const milliseconds = isReady ? this.#emitBursts(pass, sampler, isPrefill) : 0;
    for (const request of rejected) pass.signal(request, COMPLETED | REJECTED);
    return milliseconds;
  }

  #emitBursts(pass: Pass, sampler: DraftSampler, isPrefill: boolean): number {
    const { maxModelLength } = this.#state;
    let context = 0;
    for (const request of this.#ready) context += request.knownTokens;
    const milliseconds = this.#decodeMs(this.#ready.length, context);
    const bursts = this.#ready.map((request) => {
      const accepted = isPrefill ? 1 : sampler.draw();
      return Math.min(accepted, request.remaining(maxModelLength));
    });
    this.#ready.forEach((request, i) => this.#burst(pass, request, bursts[i]!));
    if (this.#state.states === undefined) this.#state.pool.giveBack(this.#spare, 0);
    else this.#state.states.pool.giveBack(this.#spareStates);
    return milliseconds;
  }

  /**
   * Keeps blocks for the longest possible answer of every request, preempting for them; whether any request is left.
   *
   * @param rejected Where those go for which there never are enough.
   */
  #reserve(burst: number, rejected: EngineRequest[]): boolean {
    const { maxModelLength } = this.#state;
    while (this.#ready.length > 0) {
      const blocks = this.#neededFor(burst, rejected);
      if (this.#ready.length === 0) return false;
      if (this.#keep(blocks)) return true;
      if (this.#state.preempt() === undefined) return false;
      this.#ready = this.#state.running.filter((request) =>
        request.computedTokens === request.knownTokens && request.remaining(maxModelLength) > 0
      );
    }
    return false;
  }

  #neededFor(burst: number, rejected: EngineRequest[]): number {
    const { states, maxModelLength } = this.#state;
    let blocks = 0;
    const before = rejected.length;
    for (const request of this.#ready) {
      const tokens = Math.min(burst, request.remaining(maxModelLength));
      const needed = states === undefined
        ? this.#state.blocksFor(request.knownTokens + tokens) - this.#state.blocksFor(request.knownTokens)
        : states.neededForBurst(request, tokens);
      if (needed === Infinity) rejected.push(request);
      else blocks += needed;
    }
    if (rejected.length === before) return blocks;
    for (const request of rejected.slice(before)) this.#state.drop(request);
    this.#ready = this.#ready.filter(({ status }) => status === "running");
    return blocks;
  }

  #keep(blocks: number): boolean {
    const { states, pool } = this.#state;
    if (states === undefined) return pool.acquire(this.#spare, blocks, 0);
    this.#spareStates = blocks;
    return states.pool.take(blocks);
  }

  #burst(pass: Pass, request: EngineRequest, tokens: number): void {
    const { args, states } = this.#state;
    for (let i = 0; i < tokens; i++) {
      if (states !== undefined) {
        this.#spareStates -= states.prepare(request, request.knownTokens);
        states.computed(request, request.knownTokens, i + 1 === tokens);
      } else if (args.enable_prefix_caching) this.#state.makeVisible(request, request.knownTokens);
      // The blocks have to be there before a finished request gives all of its own back.
      this.#growFromSpare(request, request.knownTokens + 1);
      this.#emit(pass, request);
      if (request.status !== "running") return;
    }
    request.computedTokens = request.knownTokens - 1;
  }

  #growFromSpare(request: EngineRequest, tokens: number): void {
    if (request.allocatedTokens >= tokens) return;
    const target = this.#state.blocksFor(tokens);
    request.allocatedTokens = tokens;
    const { states } = this.#state;
    if (states !== undefined) {
      const count = target - request.state!.pages.length;
      states.addPages(request, count);
      this.#spareStates -= count;
      return;
    }
    request.makeRoom(target);
    while (request.blockCount < target) {
      request.blocks[request.blockCount++] = this.#spare.blocks[--this.#spare.blockCount]!;
    }
  }
}
