/**
 * A cache of models with a recurrent state: KV in blocks, and states that fill blocks of the same pool.
 *
 * A prefix is found where both its KV and a state are there. With a unit smaller than a block that may be within one.
 *
 * @source aisimulate-core 0.13.0, `kv_manager/vllm_backend.rs`
 * @module
 */
import type { EngineArgs } from "../args.ts";
import type { EngineRequest } from "../engine_request.ts";
import type { KvEventLog } from "../kv_event.ts";
import { type Page, PagePool } from "./page_pool.ts";
import { RequestState } from "./request_state.ts";
import { blocksPerState } from "./state_args.ts";
import { StateWriter } from "./state_writer.ts";

/** What a look for a prefix found. */
export interface StateHit {
  /** Tokens that need not be computed. @unit tokens */
  readonly cachedTokens: number;
  /** Full blocks of them that have an owner. */
  readonly activeBlocks: number;
}

const MISS: StateHit = { cachedTokens: 0, activeBlocks: 0 };

/** The pages of one rank. */
export class StateCache {
  /** The pages. */
  readonly pool: PagePool;
  readonly #writer: StateWriter;
  readonly #events: KvEventLog | undefined;
  readonly #blockSize: number;
  readonly #unit: number | undefined;
  readonly #finds: boolean;
  readonly #drafts: boolean;

  /** Makes an empty cache. @param events Where to note what becomes visible and what is evicted; none: nowhere. */
  constructor(args: EngineArgs, events?: KvEventLog) {
    const { state_cache: state, prefix_match_unit: unit, block_size: size, enable_prefix_caching: finds } = args;
    this.#blockSize = size;
    this.#unit = unit;
    this.#finds = finds;
    this.#drafts = args.aic_nextn !== null;
    this.#events = events;
    this.pool = new PagePool(args.num_gpu_blocks, events);
    const pages = blocksPerState(state!, size, args.kv_cache_bytes_per_token!);
    this.#writer = new StateWriter(this.pool, pages, finds && unit !== undefined ? size : undefined);
  }

  /** Begins the next pass. */
  begin(): void {
    this.#writer.begin();
  }

  /** Looks for the longest prefix of a request that has KV and a state. */
  find(request: EngineRequest): StateHit {
    if (!this.#finds) return MISS;
    const found = this.#foundBlocks(request);
    const samples = request.outputTokens < request.maxOutputTokens;
    // The last token has to be computed to sample from it.
    const limit = samples ? request.knownTokens - 1 : request.knownTokens;
    const cachedTokens = this.#unit === undefined
      ? this.#longestOfBlocks(request, Math.min(found * this.#blockSize, limit), samples)
      : this.#longestOfUnits(request, Math.min(limit, (found + 1) * this.#blockSize - 1), this.#unit);
    let activeBlocks = 0;
    for (let block = 0; block < Math.floor(cachedTokens / this.#blockSize); block++) {
      if (this.pool.find(this.pool.tokens, nameAt(request.sequence.hashes, block))!.owners > 0) activeBlocks++;
    }
    return { cachedTokens, activeBlocks };
  }

  /** Blocks that a request needs to begin; infinite if it can never begin. */
  needed(request: EngineRequest, { cachedTokens, activeBlocks }: StateHit): number {
    const { pagesPerState } = this.#writer;
    const blocks = this.#blocksFor(request.knownTokens);
    const isPartial = cachedTokens % this.#blockSize !== 0;
    const states = pagesPerState * (cachedTokens > 0 ? 2 : 1);
    if (blocks + states + (isPartial ? 1 : 0) > this.pool.capacity) return Infinity;
    let sources = 0;
    const name = this.#stateName(request, cachedTokens);
    if (name !== undefined) {
      sources = this.#writer.inactive(name);
      if (isPartial && this.pool.find(this.pool.tokens, name)?.owners === 0) sources++;
    }
    return Math.max(0, blocks - activeBlocks) + pagesPerState + sources;
  }

  /** Whether the pool is large enough for what a request computes next. */
  canCompute(request: EngineRequest, computed: number = request.knownTokens, held: number = computed): boolean {
    const { state } = request;
    const moves = state === undefined ? 0 : this.#writer.needed(state, computed) + this.#writer.sources(state);
    return this.#blocksFor(held) + this.#writer.pagesPerState + moves <= this.pool.capacity;
  }

  /** Blocks that a burst of drafts needs; infinite if there never are as many. */
  neededForBurst(request: EngineRequest, burst: number): number {
    const held = request.knownTokens + burst;
    const computed = request.knownTokens + Math.max(0, burst - 1);
    if (!this.canCompute(request, computed, held)) return Infinity;
    const blocks = this.#blocksFor(held) - this.#blocksFor(request.knownTokens);
    return blocks + (request.state === undefined ? 0 : this.#writer.needed(request.state, computed));
  }

  /** Gives a request blocks and a state that can be written up to a token, all or nothing. */
  acquire(request: EngineRequest, tokens: number, cachedTokens: number): boolean {
    const state = request.state ??= new RequestState();
    const writer = this.#writer;
    writer.releasePrevious(state);
    const held = state.pages.length;
    const target = Math.max(held, this.#blocksFor(tokens));
    const begins = state.working.length === 0;
    const reused = this.#reusedPages(request, held, cachedTokens);
    const sources = begins && cachedTokens > 0 ? this.#sources(request, cachedTokens) : [];
    const fresh = target - held - reused.length;
    const room = fresh + writer.needed(state, tokens) + (begins ? writer.pagesPerState : 0);
    if (!this.pool.take(room, [...reused, ...sources])) return false;
    state.pages.push(...reused);
    this.addPages(request, fresh);
    if (begins) writer.start(state, cachedTokens, tokens);
    writer.prepare(state, tokens);
    for (const page of sources) this.#keepSource(state, page, cachedTokens);
    return true;
  }

  /** Gives a request private pages; the room for them is kept. */
  addPages({ state }: EngineRequest, count: number): void {
    for (let i = 0; i < count; i++) state!.pages.push(this.pool.create());
  }

  /** Makes the state of a request writable up to a token; the room for it is kept. Returns what it took. */
  prepare({ state }: EngineRequest, tokens: number): number {
    const pages = this.#writer.needed(state!, tokens);
    this.#writer.prepare(state!, tokens);
    return pages;
  }

  /** Notes that a request has these tokens, and publishes what is full. @param publishesState Whether its state too. */
  computed(request: EngineRequest, tokens: number, publishesState = true): void {
    const state = request.state!;
    if (this.#finds) this.#publishBlocks(request, state, tokens);
    const name = publishesState && this.#isCheckpoint(request, tokens) ? this.#stateName(request, tokens) : undefined;
    if (name !== undefined && tokens % this.#blockSize !== 0) {
      this.pool.publish(state.pages[Math.floor(tokens / this.#blockSize)]!, this.pool.tokens, name);
    }
    this.#writer.commit(state, tokens, name);
  }

  /** Takes the state from a request that is to compute it again. */
  preempt({ state }: EngineRequest): void {
    if (state !== undefined) this.#writer.preempt(state);
  }

  /** Takes everything from a request. */
  release({ state }: EngineRequest): void {
    if (state === undefined) return;
    this.#writer.release(state);
    for (let page = state.pages.pop(); page !== undefined; page = state.pages.pop()) this.pool.release(page);
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.#blockSize);
  }

  #foundBlocks({ sequence, hashedBlocks }: EngineRequest): number {
    let found = 0;
    while (found < hashedBlocks && this.pool.tokens.has(nameAt(sequence.hashes, found))) found++;
    return found;
  }

  #longestOfBlocks(request: EngineRequest, limit: number, samples: boolean): number {
    let blocks = Math.floor(limit / this.#blockSize);
    if (samples && this.#drafts) blocks--;
    while (blocks > 0 && !this.#writer.has(nameAt(request.sequence.hashes, blocks - 1))) blocks--;
    return Math.max(0, blocks) * this.#blockSize;
  }

  #longestOfUnits(request: EngineRequest, limit: number, unit: number): number {
    for (let tokens = Math.floor(limit / unit) * unit; tokens > 0; tokens -= unit) {
      const name = this.#stateName(request, tokens);
      if (name === undefined || !this.#writer.has(name)) continue;
      if (tokens % this.#blockSize === 0 || this.pool.tokens.has(name)) return tokens;
    }
    return 0;
  }

  /** What the state after a number of tokens is found by; none if it has no name. */
  #stateName({ sequence, hashedBlocks, units, promptTokens }: EngineRequest, tokens: number): bigint | undefined {
    if (this.#unit === undefined) {
      const blocks = Math.floor(tokens / this.#blockSize);
      return blocks === 0 || blocks > hashedBlocks ? undefined : nameAt(sequence.hashes, blocks - 1);
    }
    if (tokens === 0 || tokens > promptTokens || tokens % this.#unit !== 0) return undefined;
    units!.hashThrough(tokens / this.#unit);
    return nameAt(units!.hashes, tokens / this.#unit - 1);
  }

  /** With a unit only the last full block before the end of the prompt and the last unit of it are kept. */
  #isCheckpoint({ promptTokens }: EngineRequest, tokens: number): boolean {
    if (!this.#finds || tokens === 0) return false;
    if (this.#unit === undefined) return tokens % this.#blockSize === 0;
    if (tokens % this.#unit !== 0) return false;
    const lastBlock = Math.floor(Math.max(0, promptTokens - 1) / this.#blockSize) * this.#blockSize;
    const lastUnit = Math.floor(promptTokens / this.#unit) * this.#unit;
    return tokens === lastBlock || tokens === lastUnit && tokens % this.#blockSize !== 0;
  }

  #reusedPages({ sequence }: EngineRequest, held: number, cachedTokens: number): Page[] {
    const pages: Page[] = [];
    for (let block = held; block < Math.floor(cachedTokens / this.#blockSize); block++) {
      pages.push(this.pool.find(this.pool.tokens, nameAt(sequence.hashes, block))!);
    }
    return pages;
  }

  #sources(request: EngineRequest, cachedTokens: number): Page[] {
    const name = this.#stateName(request, cachedTokens)!;
    const states = this.#writer.find(name);
    return cachedTokens % this.#blockSize === 0 ? states : [this.pool.find(this.pool.tokens, name)!, ...states];
  }

  #keepSource(state: RequestState, page: Page, cachedTokens: number): void {
    if (this.#unit === undefined) this.pool.release(page);
    else if (cachedTokens % this.#blockSize === 0) this.#writer.holdPrevious(state, page);
    else this.#writer.holdCopy(state, page);
  }

  #publishBlocks(request: EngineRequest, { pages }: RequestState, tokens: number): void {
    const full = Math.min(Math.floor(tokens / this.#blockSize), pages.length);
    if (full <= request.cachedBlocks) return;
    const { sequence } = request;
    sequence.hashThrough(full);
    for (let block = request.cachedBlocks; block < full; block++) {
      const isFirst = this.pool.publish(pages[block]!, this.pool.tokens, nameAt(sequence.hashes, block));
      if (isFirst) this.#events?.stored(sequence, block);
    }
    this.#events?.flush();
    request.cachedBlocks = full;
    request.hashedBlocks = Math.max(request.hashedBlocks, full);
  }
}

function nameAt(hashes: Uint32Array, block: number): bigint {
  return BigInt(hashes[2 * block + 1]!) << 32n | BigInt(hashes[2 * block]!);
}
