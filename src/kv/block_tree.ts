/**
 * The blocks of one place, as routers hold them.
 *
 * @module
 */
import type { StoredBlock, StoredData } from "../protocol/kv_event.ts";

interface Node {
  readonly block: StoredBlock;
  readonly parent: bigint | null;
  /** Names of the blocks after it; made when there is one. */
  children: Set<bigint> | null;
}

/** Blocks by name, each with the block before it, which was stored before it. */
export class BlockTree {
  readonly #nodes = new Map<bigint, Node>();
  readonly #isRooted: boolean;

  /**
   * Starts empty.
   *
   * @param isRooted Whether every block's ancestors have to be here; in slower places they may lie elsewhere.
   */
  constructor(isRooted: boolean) {
    this.#isRooted = isRooted;
  }

  /** Blocks held. */
  get size(): number {
    return this.#nodes.size;
  }

  /**
   * Keeps blocks; in a rooted tree those without a known parent are refused.
   *
   * @source dynamo-kv-router 1.6.1, `RadixTree::apply_event`: "Failed to find parent block"
   */
  store({ parent_hash, blocks }: StoredData): void {
    let parent = parent_hash;
    for (const block of blocks) {
      const name = block.block_hash;
      const known = this.#nodes.get(name);
      if (known !== undefined && known.parent !== parent) this.#forget(name);
      if (parent !== null && this.#isRooted && !this.#nodes.has(parent)) return;
      if (known === undefined || known.parent !== parent) this.#nodes.set(name, { block, parent, children: null });
      this.#adopt(parent, name);
      parent = name;
    }
  }

  /**
   * Forgets blocks; in a rooted tree also all that follow them.
   *
   * @source dynamo-kv-router 1.6.1, `RadixTree::apply_event`: what follows a removed block is not found again
   */
  remove(names: readonly bigint[]): void {
    for (const name of names) this.#forget(name);
  }

  /** Forgets everything. */
  clear(): void {
    this.#nodes.clear();
  }

  /** All blocks as chains, ancestors first, so that a router that gets them holds the same. */
  chains(): StoredData[] {
    const chains: { parent_hash: bigint | null; start_position: null; blocks: StoredBlock[] }[] = [];
    for (const { block, parent } of this.#nodes.values()) {
      const chain = chains.at(-1);
      if (parent !== null && chain?.blocks.at(-1)?.block_hash === parent) chain.blocks.push(block);
      else chains.push({ parent_hash: parent, start_position: null, blocks: [block] });
    }
    return chains;
  }

  #adopt(parent: bigint | null, name: bigint): void {
    const node = parent === null || !this.#isRooted ? undefined : this.#nodes.get(parent);
    if (node !== undefined) (node.children ??= new Set()).add(name);
  }

  #forget(name: bigint): void {
    const parent = this.#nodes.get(name)?.parent ?? null;
    if (parent !== null) this.#nodes.get(parent)?.children?.delete(name);
    const names = [name];
    for (let next = names.pop(); next !== undefined; next = names.pop()) {
      const children = this.#nodes.get(next)?.children;
      this.#nodes.delete(next);
      if (children) names.push(...children);
    }
  }
}
