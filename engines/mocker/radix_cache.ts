/**
 * Pages of a fixed number, held by requests or by the radix tree: what SGLang keeps its context in.
 *
 * @source aisimulate-core 0.13.0, `sglang_backend.rs`
 * @module
 */
import { EngineRequest, type RequestSpec } from "./engine_request.ts";
import type { KvEventLog } from "./kv_event.ts";
import { PageEvents } from "./page_events.ts";
import { type RadixNode, RadixTree } from "./radix_tree.ts";

/** A request and its place in the tree. */
export class SglangRequest extends EngineRequest {
  /** Where the pages that it shares with the tree end; none while it holds no pages. */
  node: RadixNode | undefined = undefined;

  /** Makes a waiting request that may generate at most `maxOutputTokens`. */
  constructor(spec: RequestSpec, maxOutputTokens: number) {
    super(spec);
    this.maxOutputTokens = maxOutputTokens;
  }

  /** Tokens it may still generate. @unit tokens */
  get remainingTokens(): number {
    return Math.max(0, this.maxOutputTokens - this.outputTokens);
  }
}

/**
 * The pages of one rank.
 *
 * A request's `cachedBlocks` leading pages belong to the tree, the rest of its `blockCount` to itself;
 * `computedTokens` of them hold something.
 */
export class RadixCache {
  /** What is shared. */
  readonly tree: RadixTree;
  /** Pages in all. */
  readonly capacity: number;
  readonly #pageSize: number;
  readonly #isCaching: boolean;
  readonly #events: PageEvents | undefined;
  readonly #free: Int32Array;
  #freeCount: number;

  /** Makes free pages. */
  constructor(capacity: number, pageSize: number, isCaching: boolean, log?: KvEventLog) {
    this.tree = new RadixTree(capacity);
    this.capacity = capacity;
    this.#pageSize = pageSize;
    this.#isCaching = isCaching;
    this.#events = log === undefined ? undefined : new PageEvents(capacity, log);
    this.#free = Int32Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
    this.#freeCount = capacity;
  }

  /** Pages that nobody holds. */
  get available(): number {
    return this.#freeCount;
  }

  /** Pages that are free or could be made so. */
  get obtainable(): number {
    return this.#freeCount + this.tree.evictable;
  }

  /** Contents that others know of; 0 if nobody is told. */
  get told(): number {
    return this.#events?.contents ?? 0;
  }

  /** Leading pages of a request, at most `limit`, that are cached. Changes nothing. */
  matchLength(request: SglangRequest, limit: number): number {
    return this.#isCaching ? this.tree.matchLength(request.sequence, limit) : 0;
  }

  /**
   * Gives a request its first pages, cached ones as far as `mostCached`, and new ones up to `pages`.
   *
   * @returns How many are cached; -1 if there is no room, and nothing is held then.
   */
  allocate(request: SglangRequest, pages: number, mostCached: number): number {
    const { tree } = this;
    const node = this.#isCaching ? tree.matchAndLock(request.sequence, mostCached) : tree.root;
    const cached = tree.depth(node);
    const fresh = pages - cached;
    if (fresh > this.obtainable) {
      tree.unlock(node);
      return -1;
    }
    this.evictFor(fresh);
    request.makeRoom(pages);
    tree.copyPath(node, request.blocks);
    request.blockCount = cached;
    this.#take(request, fresh);
    request.cachedBlocks = cached;
    request.node = node;
    return cached;
  }

  /** Gives a request more pages of its own; whether there was room. */
  extend(request: SglangRequest, pages: number): boolean {
    const fresh = pages - request.blockCount;
    if (fresh > this.obtainable) return false;
    this.evictFor(fresh);
    request.makeRoom(pages);
    this.#take(request, fresh);
    return true;
  }

  /** Notes that full pages of a request have content now. */
  publish(request: SglangRequest, from: number, to: number): void {
    if (this.#events === undefined || from >= to) return;
    request.sequence.hashThrough(to);
    this.#events.stored(request, from, to);
  }

  /** Hands the full pages of a running request to the tree; it goes on using them. */
  cacheUnfinished(request: SglangRequest, pages: number): void {
    if (!this.#isCaching || pages <= request.cachedBlocks) return;
    request.sequence.hashThrough(pages);
    this.publish(request, request.cachedBlocks, pages);
    const { tree } = this;
    const before = request.node!;
    const after = tree.insert(before, request.sequence, request.blocks, request.cachedBlocks, pages);
    if (after !== before) tree.lock(after);
    this.#freeDuplicates(request, after, request.cachedBlocks, pages);
    if (after !== before) tree.unlock(before);
    request.node = after;
    request.cachedBlocks = pages;
  }

  /** Takes all pages from a request that is over; the full ones stay in the tree. */
  finish(request: SglangRequest): void {
    const { node } = request;
    if (node === undefined) return;
    const full = this.#isCaching ? Math.floor(request.computedTokens / this.#pageSize) : 0;
    this.#release(request, full);
    if (full > 0) {
      request.sequence.hashThrough(full);
      this.publish(request, request.cachedBlocks, full);
      const { cachedBlocks } = request;
      const after = this.tree.insert(node, request.sequence, request.blocks, cachedBlocks, full);
      this.#freeDuplicates(request, after, cachedBlocks, full);
    }
    this.tree.unlock(node);
    this.#forget(request);
  }

  /** Takes all pages from a request and keeps only those the tree has already. */
  abandon(request: SglangRequest): void {
    const { node } = request;
    if (node === undefined) return;
    this.#release(request, request.cachedBlocks);
    this.tree.unlock(node);
    this.#forget(request);
  }

  /** Evicts until this many pages are free, or nothing is left to evict. */
  evictFor(pages: number): void {
    if (pages <= this.#freeCount) return;
    this.#giveBack(this.tree.evict(pages - this.#freeCount));
  }

  #take(request: SglangRequest, count: number): void {
    for (let i = 0; i < count; i++) request.blocks[request.blockCount++] = this.#free[--this.#freeCount]!;
  }

  #release(request: SglangRequest, keep: number): void {
    this.#giveBack(request.blocks.subarray(keep, request.blockCount));
    request.blockCount = keep;
  }

  #forget(request: SglangRequest): void {
    request.node = undefined;
    request.blockCount =
      request.cachedBlocks =
      request.computedTokens =
      request.allocatedTokens =
        0;
  }

  /** Of pages that the tree had already, the request takes the tree's. */
  #freeDuplicates(request: SglangRequest, node: RadixNode, from: number, to: number): void {
    const duplicates: number[] = [];
    let end = to;
    for (let at = node; end > from; at = at.parent!) {
      const start = end - at.pages.length;
      for (let i = Math.max(start, from); i < end; i++) {
        const page = at.pages[i - start]!;
        if (request.blocks[i] === page) continue;
        duplicates.push(request.blocks[i]!);
        request.blocks[i] = page;
      }
      end = start;
    }
    // The peer frees them node by node from the tail, each node's in order; it is one event all the same.
    this.#giveBack(duplicates);
  }

  #giveBack(pages: Int32Array | readonly number[]): void {
    for (const page of pages) this.#free[this.#freeCount++] = page;
    this.#events?.removed(pages);
  }
}
