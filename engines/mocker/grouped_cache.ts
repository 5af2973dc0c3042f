/**
 * A cache whose layers keep different amounts of context, measured in bytes.
 *
 * @source aisimulate-core 0.13.0, `kv_manager/grouped.rs`, `perfmodel/fpm/resources.rs`
 * @module
 */
import type { CacheGroupArgs } from "./args.ts";
import type { EngineRequest } from "./engine_request.ts";

/** What a request holds of a grouped cache. */
export interface GroupedBlocks {
  /** All of it. @unit bytes */
  readonly bytes: number;
  /** Blocks of all groups. */
  readonly blocks: number;
}

const NOTHING: GroupedBlocks = { bytes: 0, blocks: 0 };

/** The bytes of one rank. Nothing in it is found again by another request. */
export class GroupedCache {
  /** Bytes in all. @unit bytes */
  readonly capacity: number;
  readonly #groups: readonly CacheGroupArgs[];
  #used = 0;
  #blocks = 0;

  /** Makes an empty cache. */
  constructor(groups: readonly CacheGroupArgs[], capacity: number) {
    this.#groups = groups;
    this.capacity = capacity;
  }

  /** Bytes that are not used. @unit bytes */
  get free(): number {
    return this.capacity - this.#used;
  }

  /** Blocks that requests hold. */
  get active(): number {
    return this.#blocks;
  }

  /** What a pass from one length to another needs: the context of its first token, and all tokens of the pass. */
  needed(fromTokens: number, toTokens: number): GroupedBlocks {
    let bytes = 0;
    let blocks = 0;
    for (const { block_size_tokens: size, page_size_bytes, sliding_window: window } of this.#groups) {
      const first = window === null ? 0 : Math.floor(Math.max(0, fromTokens - (window - 1)) / size);
      const count = Math.ceil(toTokens / size) - first;
      bytes += count * page_size_bytes;
      blocks += count;
    }
    return { bytes, blocks };
  }

  /** Gives a request what a pass needs, in place of what it had; whether there was room. */
  acquire(request: EngineRequest, fromTokens: number, toTokens: number): boolean {
    const before = request.grouped ?? NOTHING;
    const after = this.needed(fromTokens, toTokens);
    if (after.bytes > this.free + before.bytes) return false;
    this.#used += after.bytes - before.bytes;
    this.#blocks += after.blocks - before.blocks;
    request.grouped = after;
    return true;
  }

  /** Takes everything from a request. */
  release(request: EngineRequest): void {
    const { bytes, blocks } = request.grouped ?? NOTHING;
    this.#used -= bytes;
    this.#blocks -= blocks;
    request.grouped = undefined;
  }
}
