/**
 * Continuous batching as SGLang does it: a pass computes prompts or decodes, never both.
 *
 * @source aisimulate-core 0.13.0, `scheduler/sglang/core.rs`
 * @module
 */
import type { EngineArgs } from "./args.ts";
import { modelledMs } from "./duration.ts";
import type { EngineRequest, RequestSpec } from "./engine_request.ts";
import { ForwardPassTally, LengthMoments } from "./forward_pass.ts";
import { PendingDestinations } from "./handoff.ts";
import { type KvEvent, KvEventLog } from "./kv_event.ts";
import { COMPLETED, type HandoffEvent, Pass, REJECTED } from "./pass.ts";
import { RadixCache, SglangRequest } from "./radix_cache.ts";
import type { GroupStep, RankGauges, RankScheduler } from "./rank_scheduler.ts";
import { admitPrompts, type PrefillPart, sortByPrefix } from "./sglang_admission.ts";
import { SglangSteps } from "./sglang_steps.ts";
import type { DraftSampler } from "./speculation.ts";
import type { TimingModel } from "./timing.ts";
import { WaitingQueue } from "./waiting_queue.ts";

const FIRST_RATIO = 0.7;
const LEAST_RATIO_PART = 0.14;
const RATIO_STEPS = 600;

/** The scheduler of one rank. */
export class SglangScheduler implements RankScheduler {
  readonly #args: EngineArgs;
  readonly #timing: TimingModel;
  readonly #cache: RadixCache;
  readonly #steps: SglangSteps;
  readonly #events: KvEventLog | undefined;
  readonly #pending = new PendingDestinations();
  readonly #reserved = new Set<SglangRequest>();
  readonly #handoffs: HandoffEvent[] = [];
  readonly #pass = new Pass();
  readonly #tally = new ForwardPassTally();
  readonly #waiting = new WaitingQueue(
    (request) => request.outputTokens > 0 || request.isHandoff,
    (request) => request.knownTokens,
  );
  readonly #firstRatio: number;
  readonly #leastRatio: number;
  #ready: SglangRequest[] = [];
  #running: SglangRequest[] = [];
  #ratio: number;
  #held = 0;
  #preemptions = 0;
  #roundsWithoutPrefill = 0;
  #isIdleRound = false;

  /** Makes an idle rank. */
  constructor(args: EngineArgs, timing: TimingModel, sampler?: DraftSampler) {
    this.#args = args;
    this.#timing = timing;
    const publishes = args.emit_kv_events && args.enable_prefix_caching && args.worker_type !== "decode";
    this.#events = publishes ? new KvEventLog() : undefined;
    this.#cache = new RadixCache(args.num_gpu_blocks, args.block_size, args.enable_prefix_caching, this.#events);
    this.#steps = new SglangSteps(args, this.#cache, timing, sampler);
    this.#firstRatio = FIRST_RATIO * args.sglang.schedule_conservativeness;
    this.#leastRatio = this.#firstRatio * LEAST_RATIO_PART;
    this.#ratio = this.#firstRatio;
  }

  get isReady(): boolean {
    return this.#running.length > 0 || this.#waiting.size > 0 || this.#ready.length > 0 ||
      this.#roundsWithoutPrefill > 0;
  }

  get isDrained(): boolean {
    return !this.isReady && this.#held === 0 && this.#pending.size === 0 && this.#reserved.size === 0;
  }

  readonly hasCopies: boolean = false;
  readonly nextMs: number = Infinity;

  get gauges(): RankGauges {
    const { capacity, available } = this.#cache;
    return {
      activeBlocks: capacity - available,
      inactiveBlocks: 0,
      totalBlocks: capacity,
      usage: (capacity - available) / capacity,
      running: this.#running.length,
      waiting: this.#waiting.size + this.#ready.length + this.#pending.size + this.#reserved.size,
      preemptions: this.#preemptions,
    };
  }

  get sizes(): Readonly<Record<string, number>> {
    const { tree, told } = this.#cache;
    return {
      waiting: this.#waiting.size,
      running: this.#running.length,
      handedOver: this.#ready.length + this.#pending.size + this.#reserved.size + this.#held,
      handoffs: this.#handoffs.length,
      indexed: tree.nodes,
      heap: tree.heapEntries,
      told,
      events: this.#events?.size ?? 0,
    };
  }

  submit(spec: RequestSpec): SglangRequest {
    const request = this.#createRequest(spec);
    this.#waiting.push(request);
    return request;
  }

  submitSource(spec: RequestSpec): SglangRequest {
    const request = this.submit(spec);
    request.isSource = true;
    return request;
  }

  releaseSource(request: EngineRequest): void {
    request.isSource = false;
    if (request.status !== "held") return;
    request.status = "done";
    this.#held--;
    this.#cache.finish(request as SglangRequest);
    this.#pending.capacityChanged();
    this.#retryDestination();
  }

  reserveDestination(spec: RequestSpec, isIdle: boolean): SglangRequest {
    const request = this.#createRequest(spec);
    const { max_model_len, num_gpu_blocks, block_size } = this.#args;
    if (max_model_len !== null && request.promptTokens >= max_model_len) {
      throw new RangeError(`Cannot take over ${request.promptTokens} prompt tokens: max_model_len is too small`);
    }
    if (Math.ceil(request.promptTokens / block_size) > num_gpu_blocks) {
      throw new RangeError(`Cannot take over ${request.promptTokens} prompt tokens: they exceed the page pool`);
    }
    request.status = "reserving";
    this.#pending.push(request);
    if (isIdle) this.#retryDestination();
    return request;
  }

  activateDestination(request: EngineRequest): void {
    const arrived = request as SglangRequest;
    if (!this.#reserved.delete(arrived)) return;
    const before = this.#cache.available;
    arrived.isHandoff = true;
    arrived.status = "waiting";
    arrived.computedTokens = arrived.promptTokens;
    this.#cache.cacheUnfinished(arrived, Math.floor(arrived.promptTokens / this.#args.block_size));
    this.#ready.push(arrived);
    if (this.#cache.available > before) this.#pending.capacityChanged();
    this.#retryDestination();
  }

  cancel(request: EngineRequest, isIdle: boolean): boolean {
    const gone = request as SglangRequest;
    if (gone.status === "done") return false;
    if (gone.status === "reserving") this.#pending.remove(gone);
    else if (gone.status === "held") this.#held--;
    else if (!this.#reserved.delete(gone) && !this.#waiting.remove(gone)) {
      this.#ready = this.#ready.filter((other) => other !== gone);
      this.#running = this.#running.filter((other) => other !== gone);
    }
    gone.status = "done";
    this.#cache.abandon(gone);
    this.#pass.drop(gone);
    this.#pending.capacityChanged();
    if (isIdle) this.#retryDestination();
    return true;
  }

  pass(nowMs: number, _group: GroupStep): Pass {
    const pass = this.#pass;
    pass.begin(nowMs);
    this.#tally.clear();
    const ratioBefore = this.#ratio;
    const defers = this.#roundsWithoutPrefill > 0;
    const rejected = this.#takeTooLong();
    this.#admitReady();
    sortByPrefix(this.#waiting, this.#cache, this.#args);
    const mayAdmit = this.#ready.length === 0 && this.#pending.size === 0 && !defers;
    const parts = mayAdmit ? admitPrompts(this.#waiting, this.#cache, this.#args, this.#ratio, this.#running) : [];
    const prefillMs = this.#prefillMs(parts);
    pass.endMs = parts.length > 0 ? this.#prefill(nowMs + prefillMs, parts) : this.#decode(nowMs, defers);
    for (const request of rejected) pass.signal(request, COMPLETED | REJECTED);
    pass.progressed = pass.hasEffects || this.#ratio !== ratioBefore || defers;
    pass.forward = this.#tally.finish((pass.endMs - nowMs) / 1000, this.#waiting.prefill, this.#queuedDecode());
    return pass;
  }

  finishGroup(anyPrefilled: boolean, anyRan: boolean): void {
    if (this.#isIdleRound && !anyRan) this.#ratio = this.#firstRatio;
    this.#isIdleRound = false;
    const { prefill_decode_interval: interval } = this.#args;
    this.#roundsWithoutPrefill = anyPrefilled ? interval : Math.max(0, this.#roundsWithoutPrefill - 1);
  }

  settle(): void {
    this.#retryDestination();
  }

  advance(): void {
    // It has no copies that could end.
  }

  takeHandoffs(): HandoffEvent[] {
    return this.#handoffs.splice(0);
  }

  takeKvEvents(): KvEvent[] {
    return this.#events?.take() ?? [];
  }

  #createRequest(spec: RequestSpec): SglangRequest {
    const room = Math.max(0, (this.#args.max_model_len ?? Infinity) - spec.promptTokens);
    return new SglangRequest(spec, Math.min(spec.maxOutputTokens, room));
  }

  #takeTooLong(): SglangRequest[] {
    const limit = this.#args.max_model_len;
    if (limit === null) return [];
    const rejected: SglangRequest[] = [];
    for (const request of this.#waiting.takeAll() as SglangRequest[]) {
      if (request.promptTokens < limit) this.#waiting.push(request);
      else rejected.push(request);
    }
    for (const request of rejected) request.status = "done";
    return rejected;
  }

  /** Prompts from other workers join the batch. */
  #admitReady(): void {
    const slots = Math.max(0, (this.#args.max_num_seqs ?? Infinity) - this.#running.length);
    for (const request of this.#ready.splice(0, Math.min(slots, this.#ready.length))) {
      request.status = "running";
      this.#running.push(request);
      this.#pass.admissions.push({ request, reusedTokens: 0 });
    }
  }

  #prefillMs(parts: readonly PrefillPart[]): number {
    if (parts.length === 0 || this.#args.worker_type === "decode") return 0;
    let [ends, prefixes] = [0, 0];
    for (const { prefix, end } of parts) {
      ends += end;
      prefixes += prefix;
    }
    const length = Math.floor(ends / parts.length);
    const prefix = Math.floor(prefixes / parts.length);
    if (length <= prefix) return 0;
    return modelledMs(this.#timing.prefillMs(parts.length, length, prefix), this.#args.speedup_ratio);
  }

  /** A pass over prompts: those that run already stand still. */
  #prefill(endMs: number, parts: readonly PrefillPart[]): number {
    const fresh: SglangRequest[] = [];
    for (const { request, prefix, end, isFirst } of parts) {
      if (isFirst) this.#pass.admissions.push({ request, reusedTokens: prefix });
      if (isFirst && request.firstCachedTokens < 0) request.firstCachedTokens = prefix;
      if (end > prefix) this.#tally.addPrefill(request.promptTokens, prefix, end - prefix);
      if (request.computedTokens < request.knownTokens) {
        this.#cache.cacheUnfinished(request, Math.floor(request.computedTokens / this.#args.block_size));
        this.#waiting.unshift(request);
      } else {
        request.status = "running";
        fresh.push(request);
      }
    }
    const { completed } = this.#steps.first(this.#pass, fresh);
    this.#running.push(...fresh);
    for (const request of completed) this.#complete(request);
    return endMs;
  }

  #decode(nowMs: number, defers: boolean): number {
    let decoding = 0;
    for (const request of this.#running) {
      if (request.remainingTokens === 0) continue;
      decoding++;
      this.#tally.addDecode(request.knownTokens);
    }
    this.#isIdleRound = defers && decoding === 0;
    const { milliseconds, completed, retracted, ratio } = this.#steps.decode(this.#pass, this.#running);
    for (const request of completed) this.#complete(request);
    for (const request of retracted) {
      request.status = "preempted";
      request.preemptions++;
      this.#waiting.push(request);
    }
    this.#pass.preemptions = retracted.length;
    this.#preemptions += retracted.length;
    if (ratio !== undefined) {
      this.#ratio = ratio;
      this.#pending.capacityChanged();
    } else if (!this.#isIdleRound) {
      const step = (this.#firstRatio - this.#leastRatio) / RATIO_STEPS;
      this.#ratio = Math.max(this.#ratio - step, this.#leastRatio);
    }
    return nowMs + milliseconds;
  }

  #complete(request: SglangRequest): void {
    if (request.isSource) {
      request.status = "held";
      this.#held++;
      this.#handoffs.push({ kind: "source_held", request });
      return;
    }
    request.status = "done";
    this.#cache.finish(request);
    this.#pending.capacityChanged();
  }

  #queuedDecode(): LengthMoments {
    const { decode } = this.#waiting;
    if (this.#ready.length === 0 && this.#pending.size === 0 && this.#reserved.size === 0) return decode;
    const moments = new LengthMoments();
    for (let place = 0; place < this.#waiting.size; place++) {
      const request = this.#waiting.at(place);
      if (request.outputTokens > 0 || request.isHandoff) moments.add(request.knownTokens);
    }
    for (const request of this.#ready) moments.add(request.knownTokens);
    for (const request of this.#pending) moments.add(request.promptTokens);
    for (const request of this.#reserved) moments.add(request.promptTokens);
    return moments;
  }

  /** Gives the first prompt that waits for room its pages, if there are some. */
  #retryDestination(): void {
    const request = this.#pending.takeTurn() as SglangRequest | undefined;
    if (request === undefined) return;
    const { block_size: pageSize } = this.#args;
    const pages = Math.ceil(request.promptTokens / pageSize);
    const full = Math.floor(request.promptTokens / pageSize);
    request.sequence.hashThrough(full);
    const cached = this.#cache.allocate(request, pages, full);
    if (cached < 0) return;
    request.allocatedTokens = pages * pageSize;
    request.status = "reserved";
    this.#pending.shift();
    this.#reserved.add(request);
    this.#handoffs.push({ kind: "destination_reserved", request, missingTokens: (pages - cached) * pageSize });
  }
}
