/**
 * Blocks of a tier in the order in which they may be evicted.
 *
 * @source aisimulate-core 0.13.0, `host_offload/tier.rs`, `Lru`
 * @module
 */

/** What is known by a hash. */
export interface Keyed {
  /** The sequence hash. */
  readonly key: bigint;
}

/** Blocks that nobody reads or writes, the one touched longest ago first. */
export class HostLru<Block extends Keyed> {
  readonly #blocks = new Set<Block>();

  /** Makes a block the last to go. */
  touch(block: Block): void {
    this.#blocks.delete(block);
    this.#blocks.add(block);
  }

  /** Makes several the last to go at one time; among them the hashes decide. */
  touchTogether(blocks: readonly Block[]): void {
    for (const block of [...blocks].sort((a, b) => a.key < b.key ? -1 : 1)) this.touch(block);
  }

  /** Takes a block out of the order. */
  remove(block: Block): void {
    this.#blocks.delete(block);
  }

  /** The first ones to go, at most `count`, without those that are spared. */
  victims(count: number, isSpared: (block: Block) => boolean): Block[] {
    const victims: Block[] = [];
    for (const block of this.#blocks) {
      if (victims.length === count) break;
      if (!isSpared(block)) victims.push(block);
    }
    return victims;
  }
}
