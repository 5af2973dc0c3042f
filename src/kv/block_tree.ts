/**
 * The blocks of one place, as routers hold them.
 *
 * @module
 */
import type { StoredBlock, StoredData } from "../protocol/kv_event.ts";

/** One block. Its place among the blocks after the same one is a list through the nodes: a set for each would cost more. */
interface Node {
  readonly block: StoredBlock;
  /** Name of the block before it. */
  readonly parent: bigint | null;
  /** That block, where it has to be here. */
  readonly up: Node | null;
  first: Node | null;
  next: Node | null;
  previous: Node | null;
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
    let up = this.#isRooted && parent !== null ? this.#nodes.get(parent) ?? null : null;
    if (up === null && this.#isRooted && parent !== null) return;
    for (const block of blocks) {
      const name = block.block_hash;
      let node = this.#nodes.get(name);
      if (node !== undefined && node.parent !== parent) {
        this.#forget(node);
        // What was forgotten may have been before this block as well as behind it.
        if (up !== null && this.#nodes.get(parent!) !== up) return;
        node = undefined;
      }
      node ??= this.#add(block, parent, up);
      if (this.#isRooted) up = node;
      parent = name;
    }
  }

  /**
   * Forgets blocks; in a rooted tree also all that follow them.
   *
   * @source dynamo-kv-router 1.6.1, `RadixTree::apply_event`: what follows a removed block is not found again
   */
  remove(names: readonly bigint[]): void {
    for (const name of names) {
      const node = this.#nodes.get(name);
      if (node !== undefined) this.#forget(node);
    }
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

  #add(block: StoredBlock, parent: bigint | null, up: Node | null): Node {
    const next = up?.first ?? null;
    const node: Node = { block, parent, up, first: null, next, previous: null };
    if (next !== null) next.previous = node;
    if (up !== null) up.first = node;
    this.#nodes.set(block.block_hash, node);
    return node;
  }

  #forget(node: Node): void {
    const { up, next, previous } = node;
    if (previous !== null) previous.next = next;
    else if (up !== null) up.first = next;
    if (next !== null) next.previous = previous;
    const behind = [node];
    for (let each = behind.pop(); each !== undefined; each = behind.pop()) {
      this.#nodes.delete(each.block.block_hash);
      for (let child = each.first; child !== null; child = child.next) behind.push(child);
    }
  }
}
