/**
 * Between the scheduler of a rank and the host tier: what is stored, what is looked up, what is loaded.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/host_offload.rs`
 * @module
 */
import type { EngineRequest } from "../engine_request.ts";
import type { VllmState } from "../vllm_state.ts";
import { DeferredQueue } from "./deferred_queue.ts";
import { DiskConnector } from "./disk_connector.ts";
import { hostRequest } from "./host_request.ts";
import type { HostKey, HostTier } from "./host_tier.ts";
import type { HostClient, HostTransfer } from "./host_transfer.ts";
import type { RankTiers } from "./tier_pools.ts";

/** Nothing more of the prompt is on the host. */
export const HOST_MISS = 0;
/** `startLoad` can fetch more. */
export const HOST_HIT = 1;
/** A copy has to end first. */
export const HOST_DEFERRED = 2;
/** What a look-up found. */
export type HostLookup = typeof HOST_MISS | typeof HOST_HIT | typeof HOST_DEFERRED;

/** The host tier as one rank uses it. */
export class HostConnector {
  /** Requests that a copy keeps waiting. */
  readonly deferred: DeferredQueue = new DeferredQueue();
  readonly #state: VllmState;
  readonly #tier: HostTier;
  readonly #client: HostClient;
  readonly #loading = new Map<bigint, HostTransfer>();
  /** Requests with blocks from the host that do not run yet. */
  readonly #holders = new Set<EngineRequest>();
  #baseBlocks = 0;
  #found: readonly HostKey[] = [];
  #computeNotBeforeMs = 0;

  readonly #disk: DiskConnector | undefined;
  #loadChanges = 0;

  /** Connects a rank. */
  constructor(state: VllmState, { host: tier, disk, worker }: RankTiers) {
    const { d2h_bandwidth_gbps, h2d_bandwidth_gbps, latency_to_first_byte_ms } = state.args.native_host_offload!;
    this.#state = state;
    this.#tier = tier;
    const link = { d2hGbps: d2h_bandwidth_gbps, h2dGbps: h2d_bandwidth_gbps, latencyMs: latency_to_first_byte_ms ?? 0 };
    this.#client = tier.join(link, state.events !== undefined, disk !== undefined);
    this.#disk = disk === undefined ? undefined : new DiskConnector(disk, worker, tier, this.#client);
  }

  /** When a copy ends or something else happens to it; infinite if nothing is under way. @unit milliseconds */
  get nextMs(): number {
    return Math.min(this.#tier.nextMs(this.#client), this.#disk?.nextMs ?? Infinity);
  }

  /** Whether copies are under way. */
  get hasWork(): boolean {
    return this.#tier.hasWork(this.#client) || this.#disk?.hasWork === true;
  }

  /** How often anything has changed that a pass may have to look at again. */
  get changes(): number {
    return this.#loadChanges + (this.#disk?.changes ?? 0);
  }

  /** The rank got something done. */
  progressed(): void {
    this.#disk?.progressed();
  }

  /** With a disk tier, whether a pass that took no time is to be followed by another one. */
  mayRetry(changesBefore: number, nowMs: number): boolean {
    return this.#disk !== undefined && (this.changes !== changesBefore || this.nextMs <= nowMs);
  }

  /** The first deferred request that is awake; with a disk tier, one that has blocks already goes first. */
  nextDeferred(): EngineRequest | undefined {
    const owner = this.#disk === undefined ? undefined : this.deferred.find(({ host }) => host!.load !== undefined);
    return owner ?? this.deferred.first();
  }

  /** Blocks that requests with loaded prefixes will need besides. */
  get tailBlocks(): number {
    let blocks = 0;
    for (const { host } of this.#holders) {
      const { neededBlocks, prefixBlocks } = host!.load!;
      blocks += Math.max(0, neededBlocks - prefixBlocks);
    }
    return blocks;
  }

  /** Prepares a request whose prompt is hashed. */
  begin(request: EngineRequest): void {
    request.host = hostRequest(request);
  }

  /** Leading blocks that a request has from a load which is over. */
  loadedBlocks({ host }: EngineRequest): number {
    return host!.load?.isHere === true ? host!.load.prefixBlocks : 0;
  }

  /**
   * Looks for the part of a prompt that the engine does not have.
   *
   * @param cachedBlocks Leading blocks that the engine has.
   */
  lookUp(request: EngineRequest, cachedBlocks: number, nowMs: number): HostLookup {
    const host = request.host!;
    if (host.load !== undefined) return host.load.isHere ? HOST_MISS : HOST_DEFERRED;
    if (host.latestStore?.isOver === false) return HOST_DEFERRED;
    host.latestStore = undefined;
    this.#baseBlocks = cachedBlocks;
    const keys = host.keys.slice(cachedBlocks);
    if (keys.length === 0) this.#disk?.release(request);
    const isRestoring = keys.length > 0 && this.#disk?.restore(request, keys, nowMs) === true;
    const found = isRestoring ? HOST_DEFERRED : this.#find(keys);
    this.#touch(host.keys);
    return found;
  }

  #find(keys: readonly HostKey[]): HostLookup {
    let isDeferred = false;
    let count = 0;
    for (const { key } of keys) {
      const found = this.#tier.find(key);
      if (found === "miss") break;
      if (found === "pending" || this.#loading.has(key)) isDeferred = true;
      count++;
    }
    this.#found = keys.slice(0, count);
    return count === 0 ? HOST_MISS : isDeferred ? HOST_DEFERRED : HOST_HIT;
  }

  /** The first blocks of a prompt are the last to be evicted. */
  #touch(keys: readonly HostKey[]): void {
    for (let i = keys.length - 1; i >= 0; i--) this.#tier.touch(keys[i]!.key);
  }

  /** Gives the request last looked up blocks of the engine and begins to fill them; whether there were any to give. */
  startLoad(request: EngineRequest, nowMs: number): boolean {
    const { pool } = this.#state;
    const prefixBlocks = this.#baseBlocks + this.#found.length;
    if (!pool.acquire(request, prefixBlocks, this.#baseBlocks)) return false;
    request.cachedBlocks = this.#baseBlocks;
    const notBeforeMs = this.#readUntil(request, this.#baseBlocks, nowMs);
    const keys = this.#found.map(({ key }) => key);
    const transfer = this.#tier.load(this.#client, request, keys, nowMs, notBeforeMs);
    for (const key of keys) this.#loading.set(key, transfer);
    const neededBlocks = this.#state.blocksFor(request.knownTokens);
    request.host!.load = { transfer, isHere: false, prefixBlocks, neededBlocks };
    this.#holders.add(request);
    this.#disk?.release(request);
    this.#loadChanges++;
    return true;
  }

  /** Lets computing wait for copies that still read blocks which a request was given from a place on. */
  fence(request: EngineRequest, from: number): void {
    this.#computeNotBeforeMs = this.#readUntil(request, from, this.#computeNotBeforeMs);
  }

  /** Whether a copy still reads a block that a request was given from a place on. */
  isRead({ blocks, blockCount }: EngineRequest, from: number): boolean {
    const { readers } = this.#state.pool;
    for (let i = from; i < blockCount; i++) if (readers!.readerOf(blocks[i]!) !== undefined) return true;
    return false;
  }

  #readUntil({ blocks, blockCount }: EngineRequest, from: number, atLeastMs: number): number {
    const { readers } = this.#state.pool;
    let ms = atLeastMs;
    for (let i = from; i < blockCount; i++) ms = Math.max(ms, readers!.readerOf(blocks[i]!)?.deadlineMs ?? 0);
    return ms;
  }

  /** A request enters the batch. */
  admitted(request: EngineRequest, reusedTokens: number): void {
    const host = request.host!;
    this.#disk?.reset(request);
    if (host.load === undefined) return;
    host.storedBlocks = reusedTokens / this.#state.blockSize;
    host.load = undefined;
    this.#holders.delete(request);
  }

  /** Prepares to store what the pass has computed of a prompt. */
  store(request: EngineRequest, nowMs: number): void {
    const host = request.host!;
    const { blockSize, pool: { readers } } = this.#state;
    const computed = Math.floor(Math.min(request.computedTokens, request.promptTokens) / blockSize);
    const end = Math.min(computed, host.keys.length);
    if (end <= host.storedBlocks) return;
    const keys = host.keys.slice(host.storedBlocks, end);
    const missing = keys.filter(({ key }) => this.#tier.find(key) === "miss");
    if (missing.length > 0) {
      const blocks = missing.map(({ place }) => request.blocks[place]!);
      // A block that an earlier copy still reads can be read by another one only afterwards.
      if (blocks.some((block) => readers!.readerOf(block) !== undefined)) return;
      const transfer = this.#tier.reserve(this.#client, "store", request, keys, nowMs);
      if (transfer === undefined) return;
      readers!.add(transfer, blocks);
      host.latestStore = transfer;
      this.#touch(host.keys);
    }
    host.storedBlocks = end;
  }

  /** A request loses its blocks: what is stored of them is copied first. */
  preempted(request: EngineRequest): void {
    this.#disk?.reset(request);
    const store = request.host!.latestStore;
    if (store?.isOver === false) this.#computeNotBeforeMs = Math.max(this.#computeNotBeforeMs, store.deadlineMs ?? 0);
  }

  /** Forgets a request; its blocks are given back by the caller. */
  cancel(request: EngineRequest, nowMs: number): void {
    const { load } = request.host!;
    this.#disk?.release(request);
    request.host!.load = undefined;
    this.#holders.delete(request);
    if (load === undefined || load.isHere) return;
    this.#forgetLoad(load.transfer);
    this.#tier.cancelLoad(load.transfer, Math.max(nowMs, this.#tier.nowMs));
    this.deferred.wake();
  }

  /** The earliest time at which a pass may compute. @unit milliseconds */
  computeStart(nowMs: number): number {
    return Math.max(nowMs, this.#computeNotBeforeMs);
  }

  /** Ends what is due; whether anything was. */
  advance(nowMs: number): boolean {
    const loaded: EngineRequest[] = [];
    const progressed = this.#tick(nowMs, loaded);
    this.#activate(loaded);
    return progressed;
  }

  /** Ends what is due at the end of a pass, and begins the stores of the pass. */
  endPass(nowMs: number): boolean {
    const loaded: EngineRequest[] = [];
    const before = this.#tick(nowMs, loaded);
    this.#tier.submitPrepared(this.#client, nowMs);
    const after = this.#tick(nowMs, loaded);
    this.#activate(loaded);
    return before || after;
  }

  #tick(nowMs: number, loaded: EngineRequest[]): boolean {
    const { pool, events } = this.#state;
    const { over, progressed } = this.#tier.tick(this.#client, nowMs);
    this.#loadChanges += over.length;
    for (const transfer of over) {
      if (transfer.kind !== "store") continue;
      pool.readingOver(transfer);
      this.#disk?.store(transfer.blocks, nowMs);
    }
    const restored = this.#disk?.advance(nowMs) === true;
    for (const event of this.#client.events?.splice(0) ?? []) events?.push(event);
    for (const transfer of over) {
      if (transfer.kind !== "load") continue;
      this.#forgetLoad(transfer);
      loaded.push(transfer.request);
    }
    return progressed || restored;
  }

  #forgetLoad({ blocks }: HostTransfer): void {
    for (const { key } of blocks) this.#loading.delete(key);
  }

  /** The blocks count from now on, and others may find them. */
  #activate(loaded: readonly EngineRequest[]): void {
    for (const request of loaded) {
      const load = request.host!.load!;
      load.isHere = true;
      request.allocatedTokens = load.prefixBlocks * this.#state.blockSize;
      this.#state.makeVisible(request, request.allocatedTokens);
    }
  }
}
