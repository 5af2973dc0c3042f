/**
 * A radix tree over pages with lock counts: the prefix cache of SGLang.
 *
 * Pages are integers from 0. A page's hash stands for the page and all before it, so the hash of the first page of an
 * edge finds the edge without knowing where it hangs.
 *
 * @source aisimulate-core 0.13.0, `radix_cache.rs`
 * @module
 */
import { HashIndex } from "./hash_index.ts";
import type { BlockSequence } from "./sequence.ts";

/** A run of pages that hangs below another. */
export interface RadixNode {
  /** What it hangs below; none for the root. */
  parent: RadixNode | undefined;
  /** Its pages, in order. */
  pages: number[];
  /** How many hang below it. */
  children: number;
  /** Requests that use it, those below included. */
  locks: number;
  /** When it was used last, in steps of the tree's own clock. */
  touched: number;
  /** Whether it still hangs in the tree. */
  isAlive: boolean;
}

interface Leaf {
  readonly node: RadixNode;
  readonly touched: number;
}

/** More entries than this for every leaf and the heap is built anew. */
const SLACK = 2;
const MIN_HEAP = 64;

/** The tree. It owns the pages in it; which pages are free is somebody else's business. */
export class RadixTree {
  /** Where every sequence begins; holds no pages. */
  readonly root: RadixNode = { parent: undefined, pages: [], children: 0, locks: 1, touched: 0, isAlive: true };
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #index: HashIndex;
  /** The node whose first page it is. */
  readonly #nodes: (RadixNode | undefined)[];
  #heap: Leaf[] = [];
  #leaves = 0;
  #clock = 0;
  #evictable = 0;

  /** Makes an empty tree for pages below `capacity`. */
  constructor(capacity: number) {
    this.#low = new Uint32Array(capacity);
    this.#high = new Uint32Array(capacity);
    this.#index = new HashIndex(this.#low, this.#high);
    this.#nodes = new Array(capacity);
  }

  /** Pages that nobody has locked. */
  get evictable(): number {
    return this.#evictable;
  }

  /** Nodes but the root. */
  get nodes(): number {
    return this.#index.size;
  }

  /** Entries that say which leaf was used least recently, outdated ones included. */
  get heapEntries(): number {
    return this.#heap.length;
  }

  /** How many of the first `limit` pages of a sequence are in the tree. Changes nothing. */
  matchLength(sequence: BlockSequence, limit: number): number {
    let matched = 0;
    while (matched < limit) {
      const child = this.#find(sequence, matched);
      if (child === undefined) break;
      const common = this.#common(child, sequence, matched, limit);
      matched += common;
      if (common < child.pages.length) break;
    }
    return matched;
  }

  /**
   * Finds as many of the first `limit` pages of a sequence as there are and locks the way to them.
   *
   * @returns The node that ends with the last of them; the tree is split there if need be.
   */
  matchAndLock(sequence: BlockSequence, limit: number): RadixNode {
    const now = ++this.#clock;
    let current = this.root;
    let matched = 0;
    let isSplit = false;
    while (matched < limit) {
      const child = this.#find(sequence, matched);
      if (child === undefined) break;
      if (current !== this.root) this.#touch(current, now);
      const common = this.#common(child, sequence, matched, limit);
      matched += common;
      isSplit = common < child.pages.length;
      // A part of an edge keeps the time at which the whole was used.
      current = isSplit ? this.#split(child, common) : child;
      if (isSplit) break;
    }
    if (!isSplit && current !== this.root) this.#touch(current, now);
    this.lock(current);
    return current;
  }

  /** How many pages lie between the root and the end of a node. */
  depth(node: RadixNode): number {
    let pages = 0;
    for (let at: RadixNode | undefined = node; at !== undefined; at = at.parent) pages += at.pages.length;
    return pages;
  }

  /** Puts the pages of the way to a node into a list. */
  copyPath(node: RadixNode, target: Int32Array): void {
    let end = this.depth(node);
    for (let at: RadixNode | undefined = node; at !== undefined; at = at.parent) {
      end -= at.pages.length;
      for (let i = 0; i < at.pages.length; i++) target[end + i] = at.pages[i]!;
    }
  }

  /**
   * Inserts pages of a sequence below a node that ends where they begin.
   *
   * @param pages By place in the sequence; those already in the tree under other numbers are left out.
   * @returns The node that ends with the last of them.
   */
  insert(start: RadixNode, sequence: BlockSequence, pages: Int32Array, from: number, to: number): RadixNode {
    if (from >= to) return start;
    const now = ++this.#clock;
    for (let at: RadixNode | undefined = start; at !== undefined; at = at.parent) this.#touch(at, now);
    let current = start;
    let place = from;
    while (place < to) {
      const isOwn = current === start && current.locks === 1;
      if (current !== this.root && current.children === 0 && (current.locks === 0 || isOwn)) {
        this.#extend(current, sequence, pages, place, to);
        return current;
      }
      const child = this.#find(sequence, place);
      if (child === undefined) return this.#hang(current, sequence, pages, place, to);
      const common = this.#common(child, sequence, place, to);
      place += common;
      if (common === child.pages.length) {
        current = child;
        this.#touch(child, now);
        continue;
      }
      const upper = this.#split(child, common);
      return place < to ? this.#hang(upper, sequence, pages, place, to) : upper;
    }
    return current;
  }

  /** Keeps a node and all above it from eviction. */
  lock(node: RadixNode): void {
    for (let at = node; at !== this.root; at = at.parent!) {
      if (at.locks++ > 0) continue;
      this.#evictable -= at.pages.length;
      if (at.children === 0) this.#leaves--;
    }
  }

  /** Undoes one `lock`. */
  unlock(node: RadixNode): void {
    for (let at = node; at !== this.root; at = at.parent!) {
      if (--at.locks > 0) continue;
      this.#evictable += at.pages.length;
      if (at.children === 0) this.#enter(at);
    }
  }

  /** Takes pages out, from the ends of the leaves that were used least recently. */
  evict(count: number): number[] {
    const evicted: number[] = [];
    while (evicted.length < count) {
      const node = this.#takeOldest();
      if (node === undefined) break;
      const pages = Math.min(count - evicted.length, node.pages.length);
      this.#evictable -= pages;
      if (pages < node.pages.length) {
        evicted.push(...node.pages.splice(node.pages.length - pages));
        this.#enter(node);
        continue;
      }
      const parent = node.parent!;
      evicted.push(...node.pages);
      this.#index.delete(node.pages[0]!);
      this.#nodes[node.pages[0]!] = undefined;
      node.isAlive = false;
      parent.children--;
      if (parent !== this.root && parent.children === 0 && parent.locks === 0) this.#enter(parent);
    }
    return evicted;
  }

  #find({ hashes }: BlockSequence, place: number): RadixNode | undefined {
    const page = this.#index.get(hashes[2 * place]!, hashes[2 * place + 1]!);
    return page < 0 ? undefined : this.#nodes[page];
  }

  #common({ pages }: RadixNode, { hashes }: BlockSequence, place: number, limit: number): number {
    const most = Math.min(pages.length, limit - place);
    let i = 1;
    while (i < most && this.#isAt(pages[i]!, hashes, place + i)) i++;
    return i;
  }

  #isAt(page: number, hashes: Uint32Array, place: number): boolean {
    return this.#low[page] === hashes[2 * place] && this.#high[page] === hashes[2 * place + 1];
  }

  #touch(node: RadixNode, now: number): void {
    if (node === this.root) return;
    node.touched = now;
    if (this.#isEvictable(node)) this.#push(node);
  }

  #extend(node: RadixNode, sequence: BlockSequence, pages: Int32Array, from: number, to: number): void {
    for (let place = from; place < to; place++) {
      this.#name(pages[place]!, sequence, place);
      node.pages.push(pages[place]!);
    }
    if (node.locks === 0) this.#evictable += to - from;
  }

  #hang(parent: RadixNode, sequence: BlockSequence, pages: Int32Array, from: number, to: number): RadixNode {
    for (let place = from; place < to; place++) this.#name(pages[place]!, sequence, place);
    if (this.#isEvictable(parent)) this.#leaves--;
    const node: RadixNode = {
      parent,
      pages: Array.from(pages.subarray(from, to)),
      children: 0,
      locks: 0,
      touched: ++this.#clock,
      isAlive: true,
    };
    parent.children++;
    this.#index.add(node.pages[0]!);
    this.#nodes[node.pages[0]!] = node;
    this.#evictable += to - from;
    this.#enter(node);
    return node;
  }

  /** Cuts a node in two; the lower part stays the same object. */
  #split(node: RadixNode, at: number): RadixNode {
    const upper: RadixNode = {
      parent: node.parent,
      pages: node.pages.splice(0, at),
      children: 1,
      locks: node.locks,
      touched: node.touched,
      isAlive: true,
    };
    node.parent = upper;
    this.#nodes[upper.pages[0]!] = upper;
    this.#index.add(node.pages[0]!);
    this.#nodes[node.pages[0]!] = node;
    return upper;
  }

  #name(page: number, { hashes }: BlockSequence, place: number): void {
    this.#low[page] = hashes[2 * place]!;
    this.#high[page] = hashes[2 * place + 1]!;
  }

  #isEvictable(node: RadixNode): boolean {
    return node !== this.root && node.isAlive && node.locks === 0 && node.children === 0;
  }

  #enter(node: RadixNode): void {
    this.#leaves++;
    this.#push(node);
  }

  /** Old entries of a node stay in the heap and are skipped. */
  #push(node: RadixNode): void {
    if (this.#heap.length > MIN_HEAP + SLACK * this.#leaves) this.#cleanHeap();
    const heap = this.#heap;
    const leaf = { node, touched: node.touched };
    let place = heap.length;
    heap.push(leaf);
    while (place > 0 && heap[(place - 1) >> 1]!.touched > leaf.touched) {
      heap[place] = heap[(place - 1) >> 1]!;
      place = (place - 1) >> 1;
    }
    heap[place] = leaf;
  }

  #takeOldest(): RadixNode | undefined {
    for (;;) {
      const oldest = this.#heap[0];
      if (oldest === undefined) return undefined;
      this.#popHeap();
      const { node, touched } = oldest;
      if (!this.#isEvictable(node) || node.touched !== touched) continue;
      this.#leaves--;
      return node;
    }
  }

  #popHeap(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.touched < heap[child]!.touched) child++;
      if (heap[child]!.touched >= last.touched) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
  }

  #cleanHeap(): void {
    const seen = new Set<RadixNode>();
    this.#heap = this.#heap.filter(({ node, touched }) => {
      if (!this.#isEvictable(node) || node.touched !== touched || seen.has(node)) return false;
      seen.add(node);
      return true;
    }).sort((a, b) => a.touched - b.touched);
  }
}
