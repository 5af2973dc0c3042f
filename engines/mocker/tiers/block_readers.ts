/**
 * Blocks of an engine that a copy to the host still reads.
 *
 * @source aisimulate-core 0.13.0, `vllm_block_pool.rs`, `SourceReuseTracker`
 * @module
 */
import type { HostTransfer } from "./host_transfer.ts";

/**
 * Which copy reads which block. A block that has lost its owner may get a new one before the copy is over, unless it is
 * held: then it is neither free nor to be evicted until then.
 */
export class BlockReaders {
  readonly #holds: boolean;
  readonly #readers: (HostTransfer | undefined)[] = [];
  readonly #blocks = new Map<HostTransfer, readonly number[]>();
  readonly #released = new Set<number>();

  /** Makes one without copies. @param holds Whether blocks are held. */
  constructor(holds: boolean) {
    this.#holds = holds;
  }

  /** The copy that reads a block. */
  readerOf(block: number): HostTransfer | undefined {
    const reader = this.#readers[block];
    return reader !== undefined && this.#blocks.has(reader) ? reader : undefined;
  }

  /** Whether a block is kept from all others. */
  holds(block: number): boolean {
    return this.#holds && this.readerOf(block) !== undefined;
  }

  /** Notes that a held block has lost its owner and is nobody's to find. */
  released(block: number): void {
    this.#released.add(block);
  }

  /** Notes that a copy reads blocks, by place in their request. */
  add(transfer: HostTransfer, blocks: readonly number[]): void {
    this.#blocks.set(transfer, blocks);
    for (const block of blocks) this.#readers[block] = transfer;
  }

  /** Forgets a copy that is over; the held blocks, the last first, and whether they have lost their owner. */
  remove(transfer: HostTransfer): { readonly block: number; readonly isFree: boolean }[] {
    const blocks = this.#blocks.get(transfer) ?? [];
    this.#blocks.delete(transfer);
    for (const block of blocks) this.#readers[block] = undefined;
    if (!this.#holds) return [];
    return blocks.map((block) => ({ block, isFree: this.#released.delete(block) })).reverse();
  }
}
