/**
 * Continuous batching as vLLM does it, and as TensorRT-LLM does it without eviction.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/core.rs`
 * @module
 */
import type { EngineArgs } from "./args.ts";
import type { EngineRequest, RequestSpec } from "./engine_request.ts";
import { ForwardPassTally } from "./forward_pass.ts";
import type { KvEvent } from "./kv_event.ts";
import { COMPLETED, type HandoffEvent, Pass, REJECTED } from "./pass.ts";
import type { GroupStep, RankGauges, RankScheduler } from "./rank_scheduler.ts";
import type { DraftSampler } from "./speculation.ts";
import type { TimingModel } from "./timing.ts";
import { HOST_DEFERRED, HOST_HIT, HOST_MISS, type HostLookup } from "./tiers/host_connector.ts";
import type { RankTiers } from "./tiers/tier_pools.ts";
import { ADMIT, type Decision, REJECT, VllmAdmission, WAIT } from "./vllm_admission.ts";
import { BLOCKED, SCHEDULED, UNALIGNED, VllmBatch } from "./vllm_batch.ts";
import { VllmState } from "./vllm_state.ts";
import { VllmSteps } from "./vllm_steps.ts";

/** The scheduler of one rank. */
export class VllmScheduler implements RankScheduler {
  readonly #state: VllmState;
  readonly #admission: VllmAdmission;
  readonly #steps: VllmSteps;
  readonly #batch: VllmBatch;
  readonly #pass = new Pass();
  readonly #tally = new ForwardPassTally();
  #isCapacityBound = false;
  /** Whether a copy has ended that may have made room for a prompt from elsewhere. */
  #mayReserve = false;

  /**
   * Makes an idle rank.
   *
   * @param sampler How many tokens a step yields; none: one.
   * @param tiers The tiers behind its blocks; none: there are none.
   */
  constructor(args: EngineArgs, timing: TimingModel, sampler?: DraftSampler, tiers?: RankTiers) {
    this.#state = new VllmState(args, tiers);
    this.#admission = new VllmAdmission(this.#state);
    this.#steps = new VllmSteps(this.#state, timing, sampler);
    this.#batch = new VllmBatch(this.#state, timing);
  }

  get isReady(): boolean {
    const { running, waiting, host } = this.#state;
    return running.length > 0 || waiting.size > 0 || this.#mayReserve || host?.deferred.hasAwake === true;
  }

  get isDrained(): boolean {
    const { held, pending, reserved, host } = this.#state;
    if (this.isReady || held > 0 || pending.size > 0 || reserved.size > 0) return false;
    return host === undefined || host.deferred.size === 0 && !host.hasWork;
  }

  get hasCopies(): boolean {
    return this.#state.host !== undefined;
  }

  get nextMs(): number {
    return this.#state.host?.nextMs ?? Infinity;
  }

  get gauges(): RankGauges {
    return this.#state.gauges;
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

  cancel(request: EngineRequest, isIdle: boolean, nowMs: number = 0): boolean {
    const state = this.#state;
    const { status } = request;
    if (status === "done") return false;
    if (status === "reserving") state.pending.remove(request);
    else if (status === "reserved") state.reserved.delete(request);
    else if (status === "held") state.held--;
    else if (status === "running") state.running.splice(state.running.indexOf(request), 1);
    else this.#unqueue(request);
    request.status = "done";
    state.host?.cancel(request, isIdle ? nowMs : 0);
    state.activated.delete(request);
    state.releaseBlocks(request);
    this.#pass.drop(request);
    state.pending.capacityChanged();
    if (isIdle) this.#retryDestination();
    return true;
  }

  pass(nowMs: number, group: GroupStep): Pass {
    const state = this.#state;
    const pass = this.#pass;
    pass.begin(nowMs);
    this.#tally.clear();
    this.#batch.begin();
    state.states?.begin();
    const preemptionsBefore = state.preemptions;
    const changesBefore = state.host?.changes ?? 0;

    const defers = this.#defersPrefills(group);
    const rejected = this.#scheduleRunning(defers);
    this.#scheduleWaiting(defers, nowMs, rejected);
    if (!defers && !this.#batch.hasPreempted) this.#isCapacityBound = state.waiting.size > 0;

    const startMs = this.#storePrompts(nowMs);
    const decodeStart = startMs + this.#batch.prefillMs();
    this.#batch.addTo(this.#tally);
    pass.endMs = decodeStart + this.#steps.run(pass, this.#batch.number);
    for (const request of rejected) pass.signal(request, COMPLETED | REJECTED);
    pass.preemptions = state.preemptions - preemptionsBefore;
    pass.progressed = pass.hasEffects;
    if (state.host !== undefined) {
      if (this.#batch.size > 0 || pass.requests.length > 0) state.host.progressed();
      pass.retries = pass.endMs === nowMs && state.host.mayRetry(changesBefore, nowMs);
    }
    pass.forward = this.#tally.finish((pass.endMs - nowMs) / 1000, state.waiting.prefill, state.queuedDecode);
    return pass;
  }

  finishGroup(): void {
    // A vLLM rank decides by its own state.
  }

  settle(nowMs: number): void {
    if (this.#state.host?.endPass(nowMs) === true) this.#copiesEnded();
    this.#retryDestination();
  }

  advance(nowMs: number): void {
    if (this.#state.host?.advance(nowMs) === true) this.#copiesEnded();
  }

  takeHandoffs(): HandoffEvent[] {
    return this.#state.handoffs.splice(0);
  }

  takeKvEvents(): KvEvent[] {
    return this.#state.events?.take() ?? [];
  }

  /** Requests that waited for a copy are looked at again, and so is the first prompt that waits for room. */
  #copiesEnded(): void {
    const { host, pending } = this.#state;
    host!.deferred.wake();
    if (pending.size === 0) return;
    pending.capacityChanged();
    this.#mayReserve = true;
  }

  /** Stores what the pass computes of prompts; when it may begin to compute. @unit milliseconds */
  #storePrompts(nowMs: number): number {
    const { host, running } = this.#state;
    if (host === undefined) return nowMs;
    for (const request of running) if (request.scheduledIn === this.#batch.number) host.store(request, nowMs);
    return host.computeStart(nowMs);
  }

  /** Between the steps of the interval, a rank that decodes lets prompts wait. */
  #defersPrefills({ step, size }: GroupStep): boolean {
    const { args, running, isNoEvict } = this.#state;
    if (size === 1 || isNoEvict || step % args.prefill_schedule_interval === 0 || this.#isCapacityBound) return false;
    return running.some((request) => this.#state.isPrebuilt(request));
  }

  /** Goes on with what runs. Returns what can no longer run. */
  #scheduleRunning(defers: boolean): EngineRequest[] {
    const state = this.#state;
    const rejected: EngineRequest[] = [];
    let place = 0;
    while (place < state.running.length && this.#batch.budget > 0) {
      const request = state.running[place]!;
      if (state.states?.canCompute(request) === false) {
        state.drop(request);
        rejected.push(request);
        continue;
      }
      if (defers && !state.isPrebuilt(request)) {
        place++;
        continue;
      }
      let cached = 0;
      if (request.computedTokens === 0) {
        this.#admission.lookUp(request);
        cached = this.#admission.cachedTokens;
      }
      const outcome = this.#batch.schedule(request, cached);
      if (outcome === BLOCKED) break;
      // A preempted predecessor does not move the place, so its successor is left out of this pass.
      if (outcome === SCHEDULED || outcome === UNALIGNED) place++;
    }
    return rejected;
  }

  #scheduleWaiting(defers: boolean, nowMs: number, rejected: EngineRequest[]): void {
    const state = this.#state;
    const maxRunning = state.args.max_num_seqs ?? Infinity;
    const hasPending = state.pending.size > 0;
    while (!this.#batch.hasPreempted && state.running.length < maxRunning) {
      // A look into the host tier without a budget would change what it evicts.
      if (state.host !== undefined && this.#batch.budget === 0) break;
      const request = this.#nextWaiting(hasPending);
      if (request === undefined) break;
      const exceeds = request.promptTokens >= state.maxModelLength;
      const isPrebuilt = !exceeds && state.isPrebuilt(request);
      const isFresh = !exceeds && !isPrebuilt;
      const onHost = isFresh ? this.#probe(request, nowMs) : HOST_MISS;
      if (onHost === HOST_DEFERRED) {
        this.#defer(request);
        continue;
      }
      const decision = isFresh ? this.#decide(request, onHost === HOST_HIT) : exceeds ? REJECT : ADMIT;
      if (decision === REJECT) {
        this.#reject(request);
        rejected.push(request);
        continue;
      }
      if (decision === WAIT) break;
      if (onHost === HOST_HIT) {
        if (!state.host!.startLoad(request, nowMs)) break;
        this.#defer(request);
        continue;
      }
      const cached = isFresh ? this.#admission.cachedTokens : 0;
      if (defers && request.knownTokens - Math.max(cached, request.computedTokens) > 1) break;
      const { budget } = this.#batch;
      if (this.#batch.schedule(request, cached) !== SCHEDULED) break;
      this.#admit(request, cached);
      if (budget === 0) break;
    }
  }

  /** Looks a prompt up in the cache, then what is missing in the host tier. */
  #probe(request: EngineRequest, nowMs: number): HostLookup {
    const { host, states } = this.#state;
    if (states !== undefined) return HOST_MISS;
    this.#admission.probe(request);
    if (host === undefined) return HOST_MISS;
    const loaded = host.loadedBlocks(request);
    if (loaded > 0) this.#admission.countOnly(loaded);
    return host.lookUp(request, this.#admission.foundBlocks, nowMs);
  }

  #decide(request: EngineRequest, loads: boolean): Decision {
    const { host, grouped, states } = this.#state;
    if (states !== undefined) return this.#admission.decideStates(request, states);
    if (grouped !== undefined) return this.#admission.decideGrouped(request, grouped, this.#batch.budget);
    if (host === undefined) return this.#admission.decide(request, 0, 0);
    const promised = loads ? this.#admission.promptBlocks() + host.tailBlocks : 0;
    return this.#admission.decide(request, host.loadedBlocks(request), promised);
  }

  #defer(request: EngineRequest): void {
    const { host, waiting } = this.#state;
    if (!host!.deferred.has(request)) {
      this.#unqueue(request);
      waiting.count(request);
    }
    host!.deferred.defer(request);
  }

  #nextWaiting(hasPending: boolean): EngineRequest | undefined {
    const { waiting, host, args } = this.#state;
    if (hasPending) return this.#firstPrebuilt();
    if (host !== undefined) {
      const first = (args.worker_type === "decode" ? this.#firstPrebuilt() : undefined) ?? host.nextDeferred();
      if (first !== undefined) return first;
    }
    return waiting.size > 0 ? waiting.at(0) : undefined;
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
    const { running, host } = this.#state;
    this.#unqueue(request);
    request.status = "running";
    running.push(request);
    if (request.firstCachedTokens < 0) request.firstCachedTokens = cached;
    host?.admitted(request, cached);
    this.#pass.admissions.push({ request, reusedTokens: cached });
  }

  #reject(request: EngineRequest): void {
    this.#unqueue(request);
    this.#state.host?.cancel(request, 0);
    this.#state.releaseBlocks(request);
    request.status = "done";
  }

  #unqueue(request: EngineRequest): void {
    const { waiting, host } = this.#state;
    if (host?.deferred.remove(request) === true) waiting.discount(request);
    else if (waiting.size > 0 && waiting.at(0) === request) waiting.shift();
    else waiting.remove(request);
  }

  /** Gives the first prompt that waits for room its blocks, if there are some. */
  #retryDestination(): void {
    const state = this.#state;
    this.#mayReserve = false;
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
    if (state.host?.isRead(request, hits.blocks) === true) {
      state.pool.release(request);
      return;
    }
    request.allocatedTokens = request.promptTokens;
    request.cachedBlocks = hits.blocks;
    request.status = "reserved";
    state.pending.shift();
    state.reserved.add(request);
    const missingTokens = (blocks - hits.blocks) * state.blockSize;
    state.handoffs.push({ kind: "destination_reserved", request, missingTokens });
  }
}
