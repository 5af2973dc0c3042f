/**
 * A fixed number of pages that hold KV or recurrent states, found again by what is in them.
 *
 * A page is private (owned by one request, not to be found) or published (any number of owners, one or more names).
 * Published pages without an owner are evicted in the order in which they lost their last one.
 *
 * @source aisimulate-core 0.13.0, `vllm_block_pool.rs`
 * @module
 */
import type { KvEventLog } from "../kv_event.ts";

const LOW_HALF = 0xffffffffn;
const HIGH_HALF = 32n;

/** Pages by name; those after the first of a name are copies of it. */
export type PageNames = Map<bigint, Page[]>;

/** One page. Only a pool writes to it. */
export interface Page {
  /** Owners of a published page. */
  owners: number;
  /** What it can be found by; none: it is private. */
  names: { readonly among: PageNames; readonly name: bigint }[];
}

/** The pages of one rank. */
export class PagePool {
  /** Pages in all. */
  readonly capacity: number;
  /** Names of pages that hold KV, by sequence hash. */
  readonly tokens: PageNames = new Map();
  readonly #events: KvEventLog | undefined;
  readonly #inactive: Set<Page> = new Set();
  #free: number;

  /** Makes a pool of free pages. @param events Where to note which KV is evicted; none: nothing is noted. */
  constructor(capacity: number, events?: KvEventLog) {
    this.capacity = capacity;
    this.#events = events;
    this.#free = capacity;
  }

  /** Pages that have an owner or are kept for one. */
  get active(): number {
    return this.capacity - this.#free - this.#inactive.size;
  }

  /** Published pages without an owner. */
  get inactive(): number {
    return this.#inactive.size;
  }

  /** The first page of a name. */
  find(among: PageNames, name: bigint): Page | undefined {
    return among.get(name)?.[0];
  }

  /** Whether nobody finds a page. */
  isPrivate(page: Page): boolean {
    return page.names.length === 0;
  }

  /**
   * Keeps room for private pages and owns published ones, all or nothing.
   *
   * @returns Whether there was room, after eviction.
   */
  take(count: number, hits: readonly Page[] = []): boolean {
    const evictions = Math.max(0, count - this.#free);
    if (evictions > 0) {
      const inactiveHits = new Set(hits.filter((page) => this.#inactive.has(page))).size;
      if (evictions > this.#inactive.size - inactiveHits) return false;
    }
    for (const page of hits) {
      page.owners++;
      this.#inactive.delete(page);
    }
    for (let i = 0; i < evictions; i++) this.#evict();
    if (evictions > 0) this.#events?.flush();
    this.#free -= count;
    return true;
  }

  /** A private page in room that was kept. */
  create(): Page {
    return { owners: 1, names: [] };
  }

  /** Gives room back that was kept and not needed. */
  giveBack(count: number): void {
    this.#free += count;
  }

  /** Lets a page be found by a name, besides those it has; whether it is the first page of that name. */
  publish(page: Page, among: PageNames, name: bigint): boolean {
    if (page.names.some((known) => known.among === among && known.name === name)) return false;
    page.names.push({ among, name });
    const copies = among.get(name);
    if (copies === undefined) among.set(name, [page]);
    else copies.push(page);
    return copies === undefined;
  }

  /** Makes a page private again that has one owner. */
  hide(page: Page): void {
    this.#forget(page);
  }

  /** Frees a page if it is published and has no owner. */
  discard(page: Page): void {
    if (!this.#inactive.delete(page)) return;
    this.#forget(page);
    this.#free++;
  }

  /** Takes one owner from a page. */
  release(page: Page): void {
    if (this.isPrivate(page)) this.#free++;
    else if (--page.owners === 0) this.#inactive.add(page);
  }

  #evict(): void {
    const [page] = this.#inactive;
    this.#inactive.delete(page!);
    const [first] = page!.names;
    const isLast = first!.among.get(first!.name)!.length === 1;
    if (isLast && first!.among === this.tokens) {
      this.#events?.removed(Number(first!.name & LOW_HALF), Number(first!.name >> HIGH_HALF));
    }
    this.#forget(page!);
    this.#free++;
  }

  #forget(page: Page): void {
    for (const { among, name } of page.names) {
      const copies = among.get(name)!;
      if (copies.length === 1) among.delete(name);
      else copies.splice(copies.indexOf(page), 1);
    }
    page.names = [];
  }
}
