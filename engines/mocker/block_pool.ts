/**
 * A fixed number of KV blocks with a prefix cache: what vLLM and TensorRT-LLM keep their context in.
 *
 * A block is free, private (owned by one request, not to be found), or cached (has a hash, any number of owners).
 * Cached blocks without an owner are evicted in the order in which they lost their last one.
 *
 * @source aisimulate-core 0.13.0, `vllm_block_pool.rs`
 * @module
 */
import type { EngineRequest } from "./engine_request.ts";
import { HashIndex } from "./hash_index.ts";
import type { KvEventLog } from "./kv_event.ts";
import type { BlockSequence } from "./sequence.ts";
import type { BlockReaders } from "./tiers/block_readers.ts";
import type { HostTransfer } from "./tiers/host_transfer.ts";

const NONE = -1;
const PRIVATE = -1;

/** What a look into the cache found. */
export interface PrefixHits {
  /** Leading blocks of the sequence that are resident. */
  blocks: number;
  /** How many of them have an owner. */
  active: number;
}

/** The pool. Blocks are integers from 0; requests hold them in their own lists. */
export class BlockPool {
  /** Blocks in all. */
  readonly capacity: number;
  /** Copies to the host that read blocks, if there is a host tier. */
  readonly readers: BlockReaders | undefined;
  readonly #events: KvEventLog | undefined;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  /** Owners of a cached block; -1 for a private one. */
  readonly #owners: Int32Array;
  readonly #previous: Int32Array;
  readonly #next: Int32Array;
  /** The next copy of the same content; the index knows the first. */
  readonly #copy: Int32Array;
  readonly #free: Int32Array;
  readonly #index: HashIndex;
  #freeCount: number;
  #inactiveCount = 0;
  #oldest = NONE;
  #newest = NONE;

  /**
   * Makes a pool of free blocks.
   *
   * @param events Where to note what becomes visible and what is evicted; none: nothing is noted.
   * @param readers Copies that read blocks.
   */
  constructor(capacity: number, events?: KvEventLog, readers?: BlockReaders) {
    this.capacity = capacity;
    this.readers = readers;
    this.#events = events;
    this.#low = new Uint32Array(capacity);
    this.#high = new Uint32Array(capacity);
    this.#owners = new Int32Array(capacity).fill(PRIVATE);
    this.#previous = new Int32Array(capacity).fill(NONE);
    this.#next = new Int32Array(capacity).fill(NONE);
    this.#copy = new Int32Array(capacity).fill(NONE);
    this.#free = Int32Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
    this.#index = new HashIndex(this.#low, this.#high);
    this.#freeCount = capacity;
  }

  /** Blocks that have an owner. */
  get active(): number {
    return this.capacity - this.#freeCount - this.#inactiveCount;
  }

  /** Cached blocks without an owner. */
  get inactive(): number {
    return this.#inactiveCount;
  }

  /** Contents that can be found. */
  get indexed(): number {
    return this.#index.size;
  }

  /** Counts the leading blocks of a sequence, at most `limit`, that are resident. */
  probe(sequence: BlockSequence, limit: number, hits: PrefixHits): void {
    const { hashes } = sequence;
    let active = 0;
    let i = 0;
    for (; i < limit; i++) {
      const block = this.#index.get(hashes[2 * i]!, hashes[2 * i + 1]!);
      if (block === NONE) break;
      if (this.#owners[block]! > 0 || this.#isHeld(block)) active++;
    }
    hits.blocks = i;
    hits.active = active;
  }

  /**
   * Gives a request blocks until it holds `target`, all or nothing.
   *
   * @param hits How many of the new blocks are cached ones, found by `probe`.
   * @returns Whether there was room, after eviction.
   */
  acquire(request: EngineRequest, target: number, hits: number): boolean {
    const held = request.blockCount;
    const fresh = target - held - hits;
    const evictions = Math.max(0, fresh - this.#freeCount);
    if (evictions > 0 && evictions > this.#inactiveCount - this.#inactiveHits(request, held, hits)) return false;
    request.makeRoom(target);
    const { blocks } = request;
    const { hashes } = request.sequence;
    for (let i = held; i < held + hits; i++) {
      const block = this.#index.get(hashes[2 * i]!, hashes[2 * i + 1]!);
      this.#own(block);
      blocks[i] = block;
    }
    // Capacity that was free before is used first, then what eviction gives; the last of it comes first in the request.
    const taken = this.#freeCount - (fresh - evictions);
    for (let i = 0; i < fresh - evictions; i++) blocks[target - 1 - i] = this.#free[taken + i]!;
    this.#freeCount = taken;
    for (let i = fresh - evictions; i < fresh; i++) blocks[target - 1 - i] = this.#evict();
    if (evictions > 0) this.#events?.flush();
    request.blockCount = target;
    return true;
  }

  /**
   * Makes full blocks of a request visible under their hashes.
   *
   * @param from The first block.
   * @param to The block after the last.
   */
  cache(request: EngineRequest, from: number, to: number): void {
    const { hashes } = request.sequence;
    for (let i = from; i < to; i++) {
      const block = request.blocks[i]!;
      this.#low[block] = hashes[2 * i]!;
      this.#high[block] = hashes[2 * i + 1]!;
      this.#owners[block] = 1;
      const first = this.#index.get(hashes[2 * i]!, hashes[2 * i + 1]!);
      if (first === NONE) {
        this.#index.add(block);
        this.#events?.stored(request.sequence, i);
      } else {
        this.#appendCopy(first, block);
      }
    }
    this.#events?.flush();
  }

  /** Takes all blocks from a request, the last first, so that the tail of a sequence is evicted before its head. */
  release(request: EngineRequest): void {
    for (let i = request.blockCount - 1; i >= 0; i--) {
      const block = request.blocks[i]!;
      if (this.#owners[block] === PRIVATE) {
        if (this.#isHeld(block)) this.readers!.released(block);
        else this.#free[this.#freeCount++] = block;
      } else if (--this.#owners[block]! === 0 && !this.#isHeld(block)) {
        this.#retire(block);
      }
    }
    request.blockCount = 0;
  }

  /** A copy no longer reads blocks: those that were held for it and have no owner can be had again. */
  readingOver(transfer: HostTransfer): void {
    for (const { block, isFree } of this.readers?.remove(transfer) ?? []) {
      if (isFree) this.#free[this.#freeCount++] = block;
      else if (this.#owners[block] === 0) this.#retire(block);
    }
  }

  /** Gives private blocks at the end of a list back to the pool. */
  giveBack(request: EngineRequest, keep: number): void {
    for (let i = request.blockCount - 1; i >= keep; i--) this.#free[this.#freeCount++] = request.blocks[i]!;
    request.blockCount = keep;
  }

  /** How many more private blocks could be had at once. */
  get obtainable(): number {
    return this.#freeCount + this.#inactiveCount;
  }

  #inactiveHits(request: EngineRequest, held: number, hits: number): number {
    const { hashes } = request.sequence;
    let count = 0;
    for (let i = held; i < held + hits; i++) {
      const block = this.#index.get(hashes[2 * i]!, hashes[2 * i + 1]!);
      if (this.#owners[block] === 0 && !this.#isHeld(block)) count++;
    }
    return count;
  }

  #own(block: number): void {
    if (this.#owners[block]!++ > 0 || this.#isHeld(block)) return;
    this.#unlink(block);
  }

  #isHeld(block: number): boolean {
    return this.readers !== undefined && this.readers.holds(block);
  }

  #retire(block: number): void {
    this.#previous[block] = this.#newest;
    this.#next[block] = NONE;
    if (this.#newest === NONE) this.#oldest = block;
    else this.#next[this.#newest] = block;
    this.#newest = block;
    this.#inactiveCount++;
  }

  #unlink(block: number): void {
    const before = this.#previous[block]!;
    const after = this.#next[block]!;
    if (before === NONE) this.#oldest = after;
    else this.#next[before] = after;
    if (after === NONE) this.#newest = before;
    else this.#previous[after] = before;
    this.#inactiveCount--;
  }

  #evict(): number {
    const block = this.#oldest;
    this.#unlink(block);
    const first = this.#index.get(this.#low[block]!, this.#high[block]!);
    if (first === block && this.#copy[block] === NONE) {
      this.#index.delete(block);
      this.#events?.removed(this.#low[block]!, this.#high[block]!);
    } else if (first === block) {
      this.#index.replace(block, this.#copy[block]!);
    } else {
      this.#removeCopy(first, block);
    }
    this.#copy[block] = NONE;
    this.#owners[block] = PRIVATE;
    return block;
  }

  #appendCopy(first: number, block: number): void {
    let last = first;
    while (this.#copy[last] !== NONE) last = this.#copy[last]!;
    this.#copy[last] = block;
  }

  #removeCopy(first: number, block: number): void {
    let before = first;
    while (this.#copy[before] !== block) before = this.#copy[before]!;
    this.#copy[before] = this.#copy[block]!;
  }
}
