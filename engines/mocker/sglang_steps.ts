/**
 * The tokens of an SGLang pass, and who has to give its pages up for them.
 *
 * @source aisimulate-core 0.13.0, `sglang/decode.rs`
 * @module
 */
import type { EngineArgs } from "./args.ts";
import { modelledMs } from "./duration.ts";
import { COMPLETED, type Pass, TOKEN } from "./pass.ts";
import type { RadixCache, SglangRequest } from "./radix_cache.ts";
import type { DraftSampler } from "./speculation.ts";
import type { TimingModel } from "./timing.ts";

/** Decoding steps that the output reserve is estimated to last after a retraction. */
const RETRACT_STEPS = 20;

/** What a step left behind. */
export interface StepResult {
  /** What the step costs. @unit milliseconds */
  readonly milliseconds: number;
  /** Requests that are over, in order. */
  readonly completed: readonly SglangRequest[];
  /** Requests that lost their pages, in order. */
  readonly retracted: readonly SglangRequest[];
  /** New ratio of output to reserve, after a retraction. */
  readonly ratio: number | undefined;
}

/** Lets requests produce tokens. */
export class SglangSteps {
  readonly #args: EngineArgs;
  readonly #cache: RadixCache;
  readonly #timing: TimingModel;
  readonly #sampler: DraftSampler | undefined;

  /** Steps over one rank. */
  constructor(args: EngineArgs, cache: RadixCache, timing: TimingModel, sampler: DraftSampler | undefined) {
    this.#args = args;
    this.#cache = cache;
    this.#timing = timing;
    this.#sampler = sampler;
  }

  /** The first tokens of prompts that were just computed; they take no time of their own. Changes `running`. */
  first(pass: Pass, running: SglangRequest[]): StepResult {
    const completed = this.#takeCompleted(pass, running);
    const continuing: SglangRequest[] = [];
    for (const request of running) {
      if (request.remainingTokens !== 1) {
        continuing.push(request);
        continue;
      }
      // The last token is never computed, so it needs no place.
      request.knownTokens++;
      request.outputTokens++;
      pass.signal(request, TOKEN | COMPLETED);
      completed.push(request);
    }
    running.length = 0;
    running.push(...continuing);
    const pages = this.#growth(running, 1);
    this.#cache.evictFor(pages);
    const result = { milliseconds: 0, completed, retracted: [], ratio: undefined };
    if (pages > this.#cache.available) return result;
    for (const request of running) {
      this.#grow(request);
      pass.signal(request, TOKEN);
      this.#cacheFullPages(request);
    }
    return result;
  }

  /** One decoding step. Changes `running`. */
  decode(pass: Pass, running: SglangRequest[]): StepResult {
    const args = this.#args;
    const completed = this.#takeCompleted(pass, running);
    if (running.length === 0) return { milliseconds: 0, completed, retracted: [], ratio: undefined };
    const isPrefill = args.worker_type === "prefill";
    const burst = isPrefill ? 1 : this.#sampler?.maxBurst ?? 1;
    const retracted = this.#retract(running, burst);
    const ratio = retracted.length === 0 ? undefined : retractionRatio(running);
    if (running.length === 0) return { milliseconds: 0, completed, retracted, ratio };

    let context = 0;
    for (const request of running) context += request.knownTokens;
    const raw = this.#timing.decodeMs(running.length, context, args.num_gpu_blocks * args.block_size);
    const modelled = modelledMs(raw, args.speedup_ratio * args.decode_speedup_ratio);
    if (this.#growth(running, burst) > this.#cache.available) {
      return { milliseconds: 0, completed, retracted, ratio };
    }
    for (const request of running) {
      const accepted = isPrefill || this.#sampler === undefined ? 1 : this.#sampler.draw();
      if (this.#produce(pass, request, Math.min(accepted, request.remainingTokens))) completed.push(request);
    }
    keepUnfinished(running);
    return { milliseconds: modelled, completed, retracted, ratio };
  }

  /** Produces tokens for one request; whether it is over. */
  #produce(pass: Pass, request: SglangRequest, tokens: number): boolean {
    for (let i = 0; i < tokens; i++) {
      this.#grow(request);
      if (request.remainingTokens === 0) {
        pass.signal(request, TOKEN | COMPLETED);
        return true;
      }
      pass.signal(request, TOKEN);
      this.#cacheFullPages(request);
    }
    return false;
  }

  /** Takes those out that have no token left to produce. */
  #takeCompleted(pass: Pass, running: SglangRequest[]): SglangRequest[] {
    const completed = running.filter((request) => request.remainingTokens === 0);
    for (const request of completed) pass.signal(request, COMPLETED);
    if (completed.length > 0) keepUnfinished(running);
    return completed;
  }

  /** Takes pages from the requests with the fewest tokens until the step fits, or one request is left. */
  #retract(running: SglangRequest[], burst: number): SglangRequest[] {
    const retracted: SglangRequest[] = [];
    while (running.length > 1 && this.#cache.obtainable < this.#growth(running, burst)) {
      let fewest = 0;
      for (let i = 1; i < running.length; i++) {
        if (running[i]!.outputTokens < running[fewest]!.outputTokens) fewest = i;
      }
      const [request] = running.splice(fewest, 1);
      this.#cache.abandon(request!);
      retracted.push(request!);
    }
    this.#cache.evictFor(this.#growth(running, burst));
    return retracted;
  }

  /** New pages that a step may need. */
  #growth(running: readonly SglangRequest[], burst: number): number {
    const { block_size: pageSize } = this.#args;
    let pages = 0;
    for (const request of running) {
      const tokens = request.knownTokens + Math.min(burst, request.remainingTokens);
      pages += Math.max(0, Math.ceil(tokens / pageSize) - request.blockCount);
    }
    return pages;
  }

  #grow(request: SglangRequest): void {
    const { block_size: pageSize } = this.#args;
    if (request.knownTokens + 1 > request.allocatedTokens) {
      this.#cache.extend(request, request.blockCount + 1);
      request.allocatedTokens += pageSize;
    }
    request.knownTokens++;
    request.outputTokens++;
    request.computedTokens++;
  }

  #cacheFullPages(request: SglangRequest): void {
    const { block_size: pageSize } = this.#args;
    if (request.computedTokens < (request.cachedBlocks + 1) * pageSize) return;
    this.#cache.cacheUnfinished(request, Math.floor(request.computedTokens / pageSize));
  }
}

function keepUnfinished(running: SglangRequest[]): void {
  let kept = 0;
  for (const request of running) if (request.remainingTokens > 0) running[kept++] = request;
  running.length = kept;
}

function retractionRatio(running: readonly SglangRequest[]): number {
  let outputs = 0;
  let most = 0;
  for (const request of running) {
    outputs += request.outputTokens;
    most += request.maxOutputTokens;
  }
  return Math.min(1, (outputs + RETRACT_STEPS * running.length) / (most + 1));
}
