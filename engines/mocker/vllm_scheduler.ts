/**
 * Continuous batching as vLLM does it, and as TensorRT-LLM does it without eviction.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/core.rs`
 * @module
 */
import type { EngineArgs } from "./args.ts";
import { modelledMs } from "./duration.ts";
import { type EngineRequest, NO_PASS, type RequestSpec } from "./engine_request.ts";
import { ForwardPassTally, LengthMoments } from "./forward_pass.ts";
import type { KvEvent } from "./kv_event.ts";
import { COMPLETED, type HandoffEvent, Pass, REJECTED } from "./pass.ts";
import type { GroupStep, RankGauges, RankScheduler } from "./rank_scheduler.ts";
import type { DraftSampler } from "./speculation.ts";
import type { TimingModel } from "./timing.ts";
import { ADMIT, REJECT, VllmAdmission, WAIT } from "./vllm_admission.ts";
import { VllmState } from "./vllm_state.ts";
import { VllmSteps } from "./vllm_steps.ts";

const SCHEDULED = 0;
const BLOCKED = 1;
const PREEMPTED_ITSELF = 2;
type Outcome = typeof SCHEDULED | typeof BLOCKED | typeof PREEMPTED_ITSELF;

/** The scheduler of one rank. */
export class VllmScheduler implements RankScheduler {
  readonly #state: VllmState;
  readonly #admission: VllmAdmission;
  readonly #steps: VllmSteps;
  readonly #timing: TimingModel;
  readonly #pass = new Pass();
  readonly #tally = new ForwardPassTally();
  #scheduled: EngineRequest[] = [];
  #number = 0;
  #budget = 0;
  #preempted = false;
  #isCapacityBound = false;
  // Sums over the requests of the pass that have prompt tokens: how many, their ends, their beginnings.
  #batch = 0;
  #lengths = 0;
  #prefixes = 0;

  /**
   * Makes an idle rank.
   *
   * @param sampler How many tokens a step yields; none: one.
   */
  constructor(args: EngineArgs, timing: TimingModel, sampler?: DraftSampler) {
    this.#state = new VllmState(args);
    this.#admission = new VllmAdmission(this.#state);
    this.#steps = new VllmSteps(this.#state, timing, sampler);
    this.#timing = timing;
  }

  get isReady(): boolean {
    return this.#state.running.length > 0 || this.#state.waiting.size > 0;
  }

  get isDrained(): boolean {
    const { held, pending, reserved } = this.#state;
    return !this.isReady && held === 0 && pending.size === 0 && reserved.size === 0;
  }

  get gauges(): RankGauges {
    const { pool, running, waiting, pending, reserved, preemptions } = this.#state;
    return {
      activeBlocks: pool.active,
      inactiveBlocks: pool.inactive,
      totalBlocks: pool.capacity,
      running: running.length,
      waiting: waiting.size + pending.size + reserved.size,
      preemptions,
    };
  }

  get sizes(): Readonly<Record<string, number>> {
    return this.#state.sizes;
  }

  submit(spec: RequestSpec): EngineRequest {
    const request = this.#state.createRequest(spec);
    this.#state.waiting.push(request);
    return request;
  }

  submitSource(spec: RequestSpec): EngineRequest {
    const request = this.submit(spec);
    request.isSource = true;
    return request;
  }

  releaseSource(request: EngineRequest): void {
    request.isSource = false;
    if (request.status !== "held") return;
    request.status = "done";
    this.#state.held--;
    this.#state.releaseBlocks(request);
    this.#state.pending.capacityChanged();
    this.#retryDestination();
  }

  reserveDestination(spec: RequestSpec, isIdle: boolean): EngineRequest {
    const request = this.#state.createRequest(spec);
    this.#admission.checkDestination(request);
    request.status = "reserving";
    this.#state.pending.push(request);
    if (isIdle) this.#retryDestination();
    return request;
  }

  activateDestination(request: EngineRequest): void {
    const state = this.#state;
    if (!state.reserved.delete(request)) return;
    request.isHandoff = true;
    request.status = "waiting";
    request.computedTokens = request.promptTokens;
    if (state.args.enable_prefix_caching) state.makeVisible(request, request.promptTokens);
    state.activated.add(request);
    state.waiting.insertByOrder(request);
    this.#retryDestination();
  }

  cancel(request: EngineRequest, isIdle: boolean): boolean {
    const state = this.#state;
    const { status } = request;
    if (status === "done") return false;
    if (status === "reserving") state.pending.remove(request);
    else if (status === "reserved") state.reserved.delete(request);
    else if (status === "held") state.held--;
    else if (status === "running") state.running.splice(state.running.indexOf(request), 1);
    else state.waiting.remove(request);
    request.status = "done";
    state.activated.delete(request);
    state.releaseBlocks(request);
    this.#pass.drop(request);
    state.pending.capacityChanged();
    if (isIdle) this.#retryDestination();
    return true;
  }

  pass(nowMs: number, group: GroupStep): Pass {
    const { args } = this.#state;
    const pass = this.#pass;
    pass.begin(nowMs);
    this.#tally.clear();
    this.#scheduled = [];
    this.#number++;
    this.#budget = args.max_num_batched_tokens ?? Infinity;
    this.#preempted = false;
    this.#batch = this.#lengths = this.#prefixes = 0;
    const preemptionsBefore = this.#state.preemptions;

    const defers = this.#defersPrefills(group);
    this.#scheduleRunning(defers);
    const rejected = this.#scheduleWaiting(defers);
    if (!defers && !this.#preempted) this.#isCapacityBound = this.#state.waiting.size > 0;

    const decodeStart = nowMs + this.#prefillMs();
    this.#tallyScheduled();
    pass.endMs = decodeStart + this.#steps.run(pass, this.#number);
    for (const request of rejected) pass.signal(request, COMPLETED | REJECTED);
    pass.preemptions = this.#state.preemptions - preemptionsBefore;
    pass.progressed = pass.hasEffects;
    pass.forward = this.#tally.finish((pass.endMs - nowMs) / 1000, this.#state.waiting.prefill, this.#queuedDecode());
    return pass;
  }

  finishGroup(): void {
    // A vLLM rank decides by its own state.
  }

  settle(): void {
    this.#retryDestination();
  }

  takeHandoffs(): HandoffEvent[] {
    return this.#state.handoffs.splice(0);
  }

  takeKvEvents(): KvEvent[] {
    return this.#state.events?.take() ?? [];
  }

  /** Between the steps of the interval, a rank that decodes lets prompts wait. */
  #defersPrefills({ step, size }: GroupStep): boolean {
    const { args, running, isNoEvict } = this.#state;
    if (size === 1 || isNoEvict || step % args.prefill_schedule_interval === 0 || this.#isCapacityBound) return false;
    return running.some((request) => this.#state.isPrebuilt(request));
  }

  #scheduleRunning(defers: boolean): void {
    const state = this.#state;
    let place = 0;
    while (place < state.running.length && this.#budget > 0) {
      const request = state.running[place]!;
      if (defers && !state.isPrebuilt(request)) {
        place++;
        continue;
      }
      let cached = 0;
      if (request.computedTokens === 0) {
        this.#admission.lookUp(request);
        cached = this.#admission.cachedTokens;
      }
      const outcome = this.#schedule(request, cached);
      if (outcome === BLOCKED) break;
      // A preempted predecessor does not move the place, so its successor is left out of this pass.
      if (outcome === SCHEDULED) place++;
    }
  }

  #scheduleWaiting(defers: boolean): EngineRequest[] {
    const state = this.#state;
    const rejected: EngineRequest[] = [];
    const maxRunning = state.args.max_num_seqs ?? Infinity;
    const hasPending = state.pending.size > 0;
    while (!this.#preempted && state.running.length < maxRunning) {
      const request = hasPending ? this.#firstPrebuilt() : state.waiting.size > 0 ? state.waiting.at(0) : undefined;
      if (request === undefined) break;
      let cached = 0;
      const exceeds = request.promptTokens >= state.maxModelLength;
      const isPrebuilt = !exceeds && state.isPrebuilt(request);
      const decision = exceeds ? REJECT : isPrebuilt ? ADMIT : this.#admission.decide(request);
      if (decision === REJECT) {
        this.#reject(request);
        rejected.push(request);
        continue;
      }
      if (decision === WAIT) break;
      if (!isPrebuilt) cached = this.#admission.cachedTokens;
      if (defers && request.knownTokens - Math.max(cached, request.computedTokens) > 1) break;
      const budget = this.#budget;
      if (this.#schedule(request, cached) !== SCHEDULED) break;
      this.#admit(request, cached);
      if (budget === 0) break;
    }
    return rejected;
  }

  /** While prompts wait for blocks here, only those that are complete go ahead. */
  #firstPrebuilt(): EngineRequest | undefined {
    const { waiting } = this.#state;
    for (let place = 0; place < waiting.size; place++) {
      if (this.#state.isPrebuilt(waiting.at(place))) return waiting.at(place);
    }
    return undefined;
  }

  #admit(request: EngineRequest, cached: number): void {
    const { waiting, running } = this.#state;
    if (waiting.at(0) === request) waiting.shift();
    else waiting.remove(request);
    request.status = "running";
    running.push(request);
    if (request.firstCachedTokens < 0) request.firstCachedTokens = cached;
    this.#pass.admissions.push({ request, reusedTokens: cached });
  }

  #reject(request: EngineRequest): void {
    this.#state.waiting.remove(request);
    this.#state.releaseBlocks(request);
    request.status = "done";
  }

  /** Gives a request as many tokens as budget and blocks allow; others may lose theirs for it. */
  #schedule(request: EngineRequest, cached: number): Outcome {
    const { args, blockSize } = this.#state;
    const before = request.computedTokens + cached;
    const prompt = request.promptTokens;
    const promptBefore = Math.min(before, prompt);
    const remaining = Math.max(0, request.knownTokens - before);
    if (!args.enable_chunked_prefill && prompt > promptBefore && prompt - promptBefore > this.#budget) return BLOCKED;
    const tokens = Math.min(remaining, this.#budget);
    if (tokens === 0 && remaining > 0) return BLOCKED;
    const after = before + tokens;
    if (after > request.allocatedTokens) {
      const outcome = this.#allocate(request, after, cached / blockSize);
      if (outcome !== SCHEDULED) return outcome;
    }
    request.computedTokens = after;
    this.#makeVisible(request);

    request.scheduledIn = this.#number;
    request.scheduledTokens = tokens;
    request.scheduledPrefix = promptBefore;
    request.scheduledPrompt = Math.max(0, Math.min(after, prompt) - promptBefore);
    this.#scheduled.push(request);
    if (request.scheduledPrompt > 0 && args.worker_type !== "decode") this.#countPrefill(request, 1);
    this.#budget -= tokens;
    return SCHEDULED;
  }

  #allocate(request: EngineRequest, tokens: number, hits: number): Outcome {
    const state = this.#state;
    const target = state.blocksFor(tokens);
    while (target > request.blockCount && !state.pool.acquire(request, target, hits)) {
      const victim = state.preempt();
      if (victim === undefined) return BLOCKED;
      this.#preempted = true;
      if (victim.scheduledIn === this.#number) {
        this.#budget += victim.scheduledTokens;
        if (victim.scheduledPrompt > 0 && state.args.worker_type !== "decode") this.#countPrefill(victim, -1);
        victim.scheduledIn = NO_PASS;
      }
      if (victim === request) return PREEMPTED_ITSELF;
    }
    request.allocatedTokens = tokens;
    if (hits > 0) request.cachedBlocks = hits;
    return SCHEDULED;
  }

  /** Blocks that are full now can be found at once, even by the next request of the same pass. */
  #makeVisible(request: EngineRequest): void {
    const { args, blockSize } = this.#state;
    if (!args.enable_prefix_caching || request.computedTokens < (request.cachedBlocks + 1) * blockSize) return;
    this.#state.makeVisible(request, request.computedTokens);
  }

  #countPrefill(request: EngineRequest, sign: 1 | -1): void {
    this.#batch += sign;
    this.#lengths += sign * (request.scheduledPrefix + request.scheduledPrompt);
    this.#prefixes += sign * request.scheduledPrefix;
  }

  #prefillMs(): number {
    const { args } = this.#state;
    if (this.#batch === 0) return 0;
    const length = Math.floor(this.#lengths / this.#batch);
    const prefix = Math.floor(this.#prefixes / this.#batch);
    if (length <= prefix) return 0;
    return modelledMs(this.#timing.prefillMs(this.#batch, length, prefix), args.speedup_ratio);
  }

  #tallyScheduled(): void {
    const { maxModelLength } = this.#state;
    for (const request of this.#scheduled) {
      if (request.scheduledIn !== this.#number) continue;
      if (request.scheduledPrompt > 0) {
        this.#tally.addPrefill(request.promptTokens, request.scheduledPrefix, request.scheduledTokens);
      } else if (request.remaining(maxModelLength) > 0) {
        this.#tally.addDecode(request.knownTokens);
      }
    }
  }

  #queuedDecode(): LengthMoments {
    const { waiting, pending, reserved } = this.#state;
    if (pending.size === 0 && reserved.size === 0) return waiting.decode;
    const moments = new LengthMoments();
    for (let place = 0; place < waiting.size; place++) {
      const request = waiting.at(place);
      if (request.isHandoff) moments.add(request.promptTokens);
      else if (request.status === "preempted") moments.add(request.knownTokens);
    }
    for (const request of pending) moments.add(request.promptTokens);
    for (const request of reserved) moments.add(request.promptTokens);
    return moments;
  }

  /** Gives the first prompt that waits for room its blocks, if there are some. */
  #retryDestination(): void {
    const state = this.#state;
    if (state.running.length >= (state.args.max_num_seqs ?? Infinity)) {
      state.pending.takeTurn();
      return;
    }
    const request = state.pending.takeTurn();
    if (request === undefined || !this.#admission.mayReserve(request)) return;
    const hits = { blocks: 0, active: 0 };
    if (!state.isNoEvict) state.pool.probe(request.sequence, request.hashedBlocks, hits);
    const blocks = state.blocksFor(request.promptTokens);
    if (!state.pool.acquire(request, blocks, hits.blocks)) return;
    request.allocatedTokens = request.promptTokens;
    request.cachedBlocks = hits.blocks;
    request.status = "reserved";
    state.pending.shift();
    state.reserved.add(request);
    const missingTokens = (blocks - hits.blocks) * state.blockSize;
    state.handoffs.push({ kind: "destination_reserved", request, missingTokens });
  }
}
