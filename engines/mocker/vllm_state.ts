/**
 * What the parts of the vLLM scheduler share.
 *
 * @module
 */
import type { EngineArgs } from "./args.ts";
import { BlockPool } from "./block_pool.ts";
import { EngineRequest, type RequestSpec } from "./engine_request.ts";
import { GroupedCache } from "./grouped_cache.ts";
import { PendingDestinations } from "./handoff.ts";
import { KvEventLog } from "./kv_event.ts";
import { LengthMoments } from "./forward_pass.ts";
import type { HandoffEvent } from "./pass.ts";
import type { RankGauges } from "./rank_scheduler.ts";
import { StateCache } from "./states/state_cache.ts";
import { BlockReaders } from "./tiers/block_readers.ts";
import { HostConnector } from "./tiers/host_connector.ts";
import type { RankTiers } from "./tiers/tier_pools.ts";
import { WaitingQueue } from "./waiting_queue.ts";

/** Queues, blocks and limits of one rank. */
export class VllmState {
  /** Limits and modes. */
  readonly args: EngineArgs;
  /** Tokens of a block. @unit tokens */
  readonly blockSize: number;
  /** Longest sequence; infinite without a limit. @unit tokens */
  readonly maxModelLength: number;
  /** Whether room is kept for whole answers and nothing is ever preempted. */
  readonly isNoEvict: boolean;
  /** Where cache events go, if anybody wants them. */
  readonly events: KvEventLog | undefined;
  /** The blocks. */
  readonly pool: BlockPool;
  /** What holds the context instead of the blocks, if anything. */
  readonly grouped: GroupedCache | undefined;
  /** What holds the context and its states instead of the blocks, if anything. */
  readonly states: StateCache | undefined;
  /** The host tier, if there is one. */
  readonly host: HostConnector | undefined;
  /** Requests that are not in the batch. */
  readonly waiting: WaitingQueue;
  /** Destinations that wait for blocks. */
  readonly pending: PendingDestinations = new PendingDestinations();
  /** Destinations that have room and wait for the prompt. */
  readonly reserved: Set<EngineRequest> = new Set();
  /** Requests in hand-over that are not running yet. */
  readonly activated: Set<EngineRequest> = new Set();
  /** Hand-overs that nobody has taken yet. */
  readonly handoffs: HandoffEvent[] = [];
  /** The batch, in order of entry. */
  running: EngineRequest[] = [];
  /** Sources that are over but keep their blocks. */
  held = 0;
  /** How often a request lost its blocks. */
  preemptions = 0;
  #order = 0;

  /** Makes an idle rank. @param tiers The tiers behind its blocks; none: there are none. */
  constructor(args: EngineArgs, tiers?: RankTiers) {
    this.args = args;
    this.blockSize = args.block_size;
    this.maxModelLength = args.max_model_len ?? Infinity;
    this.isNoEvict = args.backend === "trtllm";
    // Decode workers and caches that are off publish nothing.
    const publishes = args.emit_kv_events && args.enable_prefix_caching && args.worker_type !== "decode";
    this.events = publishes ? new KvEventLog() : undefined;
    const readers = tiers === undefined ? undefined : new BlockReaders(tiers.host.isShared);
    this.pool = new BlockPool(args.num_gpu_blocks, this.events, readers);
    const { kv_cache_groups: groups, kv_cache_capacity_bytes: bytes } = args;
    this.grouped = groups === undefined ? undefined : new GroupedCache(groups, bytes!);
    this.states = args.state_cache === undefined ? undefined : new StateCache(args, this.events);
    this.host = tiers === undefined ? undefined : new HostConnector(this, tiers);
    this.waiting = new WaitingQueue(
      (request) => request.isHandoff || request.status === "preempted",
      (request) => request.isHandoff ? request.promptTokens : request.knownTokens,
    );
  }

  /** How full the cache is, and how many requests are where. */
  get gauges(): RankGauges {
    const { pool, grouped, states, running, waiting, pending, reserved, preemptions, host } = this;
    const { active, inactive } = states?.pool ?? pool;
    return {
      activeBlocks: grouped?.active ?? active,
      inactiveBlocks: inactive,
      totalBlocks: grouped === undefined ? pool.capacity : 0,
      usage: grouped === undefined ? active / pool.capacity : 1 - grouped.free / grouped.capacity,
      running: running.length,
      waiting: waiting.size + (host?.deferred.size ?? 0) + pending.size + reserved.size,
      preemptions,
    };
  }

  /** Lengths of the requests that wait and whose prompts are there already. */
  get queuedDecode(): LengthMoments {
    const { waiting, pending, reserved } = this;
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

  /** Whether requests hold blocks of the pool, and nothing else. */
  get hasPlainBlocks(): boolean {
    return this.grouped === undefined && this.states === undefined;
  }

  /** Entries of everything here that grows and shrinks, by name. */
  get sizes(): Readonly<Record<string, number>> {
    return {
      waiting: this.waiting.size,
      running: this.running.length,
      handedOver: this.pending.size + this.reserved.size + this.activated.size + this.held,
      handoffs: this.handoffs.length,
      indexed: this.states?.pool.tokens.size ?? this.pool.indexed,
      events: this.events?.size ?? 0,
    };
  }

  /** Makes a request of a specification and gives it its place in the order of arrival. */
  createRequest(spec: RequestSpec): EngineRequest {
    const request = new EngineRequest(spec);
    request.order = this.#order++;
    if (this.isNoEvict) request.maxOutputTokens = this.#fittingOutput(request);
    request.hashedBlocks = this.args.enable_prefix_caching ? Math.floor(request.promptTokens / this.blockSize) : 0;
    request.sequence.hashThrough(request.hashedBlocks);
    this.host?.begin(request);
    return request;
  }

  /** Blocks that a number of tokens fills. */
  blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.blockSize);
  }

  /** Whether all of the prompt is computed and has blocks. */
  isPrebuilt(request: EngineRequest): boolean {
    return request.computedTokens >= request.promptTokens && request.allocatedTokens >= request.promptTokens;
  }

  /** Takes the blocks of a request away and forgets what was computed. */
  releaseBlocks(request: EngineRequest): void {
    this.pool.release(request);
    this.grouped?.release(request);
    this.states?.release(request);
    request.allocatedTokens = 0;
    request.cachedBlocks = 0;
  }

  /** Preempts the newest or the oldest running request; none if nothing runs or nothing may be preempted. */
  preempt(): EngineRequest | undefined {
    if (this.isNoEvict) return undefined;
    const victim = this.args.preemption_mode === "lifo" ? this.running.pop() : this.running.shift();
    if (victim === undefined) return undefined;
    this.host?.preempted(victim);
    this.states?.preempt(victim);
    this.releaseBlocks(victim);
    victim.computedTokens = 0;
    victim.status = "preempted";
    victim.preemptions++;
    this.preemptions++;
    this.waiting.unshift(victim);
    this.pending.capacityChanged();
    return victim;
  }

  /** Ends a request: its blocks go back, or wait for a hand-off if it is a source. */
  complete(request: EngineRequest): void {
    this.activated.delete(request);
    if (request.isSource) {
      request.status = "held";
      this.held++;
      this.handoffs.push({ kind: "source_held", request });
    } else {
      request.status = "done";
      this.releaseBlocks(request);
    }
    this.pending.capacityChanged();
  }

  /** Ends a request of the batch that can never be over. */
  drop(request: EngineRequest): void {
    this.running.splice(this.running.indexOf(request), 1);
    this.releaseBlocks(request);
    request.status = "done";
  }

  /** Makes the blocks that these tokens fill visible for reuse. */
  makeVisible(request: EngineRequest, tokens: number): void {
    const full = Math.min(Math.floor(tokens / this.blockSize), request.blockCount);
    if (full <= request.cachedBlocks) return;
    request.sequence.hashThrough(full);
    this.pool.cache(request, request.cachedBlocks, full);
    request.cachedBlocks = full;
    request.hashedBlocks = Math.max(request.hashedBlocks, full);
  }

  /** Drops what is no longer running from the list, keeping the order. */
  compactRunning(): void {
    const { running } = this;
    let kept = 0;
    for (const request of running) if (request.status === "running") running[kept++] = request;
    running.length = kept;
  }

  #fittingOutput({ promptTokens, maxOutputTokens }: EngineRequest): number {
    const realizable = Math.min(maxOutputTokens, Math.max(0, this.maxModelLength - promptTokens));
    const capacity = this.args.num_gpu_blocks * this.blockSize;
    return promptTokens >= capacity ? realizable : Math.min(realizable, capacity - promptTokens);
  }
}
