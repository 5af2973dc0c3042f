/**
 * Recurrent states: where the next one is written, and which earlier ones stay.
 *
 * A state that others may find is not written over: the write goes elsewhere, or what was found is copied first.
 *
 * @source aisimulate-core 0.13.0, `kv_manager/state_cache_manager.rs`
 * @module
 */
import type { Page, PageNames, PagePool } from "./page_pool.ts";
import type { CopySource, RequestState } from "./request_state.ts";

/** States of one rank. */
export class StateWriter {
  /** Pages of a state. */
  readonly pagesPerState: number;
  readonly #pool: PagePool;
  /** Names of states, one map for each page of a state. */
  readonly #slots: readonly PageNames[];
  /** Tokens of a block, if every block has a state of its own. */
  readonly #blockSize: number | undefined;
  /** Names that became known in this pass, and are found from the next one on. */
  readonly #fresh: Set<bigint> = new Set();
  #copies: CopySource[] = [];
  #pass = 0;

  /** Writes states of `pagesPerState` pages. @param blockSize Tokens that a state stays in one place for; none: all. */
  constructor(pool: PagePool, pagesPerState: number, blockSize: number | undefined) {
    this.#pool = pool;
    this.pagesPerState = pagesPerState;
    this.#blockSize = blockSize;
    this.#slots = Array.from({ length: pagesPerState }, () => new Map());
  }

  /** Begins the next pass: what the last one copied is released, what it published is found. */
  begin(): void {
    for (const { page } of this.#copies) if (page !== undefined) this.#pool.release(page);
    this.#copies = [];
    this.#fresh.clear();
    this.#pass++;
  }

  /** Whether all of a state can be found. */
  has(name: bigint): boolean {
    return !this.#fresh.has(name) && this.#slots.every((slot) => slot.has(name));
  }

  /** The pages of a state that can be found. */
  find(name: bigint): Page[] {
    return this.#slots.map((slot) => this.#pool.find(slot, name)!);
  }

  /** How many pages of a state are found and have no owner. */
  inactive(name: bigint): number {
    return this.#slots.reduce((count, slot) => this.#pool.find(slot, name)?.owners === 0 ? count + 1 : count, 0);
  }

  /** Gives a request the pages of its first state; the room is kept. */
  start(state: RequestState, computedTokens: number, targetTokens: number): void {
    state.working = this.#create();
    state.computedTokens = computedTokens;
    state.slot = this.#slotOf(targetTokens);
  }

  /** Pages that the pass reads or copies for a request besides its state. */
  sources(state: RequestState): number {
    const previous = state.previousIn === this.#pass ? state.previous.length : 0;
    return previous + (state.copiesIn === this.#pass ? state.copies.length : 0);
  }

  /** Pages that it takes to compute up to a token. */
  needed(state: RequestState, targetTokens: number): number {
    if (targetTokens <= state.computedTokens || state.working.length === 0) return 0;
    const moves = this.#blockSize !== undefined && state.slot !== this.#slotOf(targetTokens);
    return moves || !state.working.every((page) => this.#pool.isPrivate(page)) ? this.pagesPerState : 0;
  }

  /** Makes the state writable up to a token; the room that is needed is kept. */
  prepare(state: RequestState, targetTokens: number): void {
    if (this.needed(state, targetTokens) === 0) return;
    if (this.#blockSize !== undefined && state.slot !== this.#slotOf(targetTokens)) {
      for (const page of state.working) this.holdPrevious(state, page);
      state.working = this.#create();
      state.slot = this.#slotOf(targetTokens);
      return;
    }
    const name = state.snapshotName!;
    const saved = this.#create();
    saved.forEach((page, slot) => this.#pool.publish(page, this.#slots[slot]!, name));
    for (const page of state.working) this.#pool.hide(page);
    if (this.#blockSize === undefined) state.ownsSnapshot = true;
    else for (const page of saved) this.holdCopy(state, page);
    this.#remember(state, saved, name);
  }

  /** Notes that the state has these tokens. @param name What it can be found by from now on; none: nothing. */
  commit(state: RequestState, computedTokens: number, name: bigint | undefined): void {
    if (computedTokens === state.computedTokens || state.working.length === 0) return;
    this.#disown(state);
    state.computedTokens = computedTokens;
    if (name === undefined) return;
    if (this.#blockSize === undefined) { for (const page of state.snapshot) this.#pool.discard(page); }
    state.working.forEach((page, slot) => this.#pool.publish(page, this.#slots[slot]!, name));
    this.#remember(state, [...state.working], name);
  }

  /** Owns a page until the next pass begins. */
  holdCopy(state: RequestState, page: Page): void {
    if (state.copiesIn !== this.#pass) state.copies = [];
    state.copiesIn = this.#pass;
    const source = { page };
    state.copies.push(source);
    this.#copies.push(source);
  }

  /** Owns a page until the request computes again. */
  holdPrevious(state: RequestState, page: Page): void {
    state.previous.push(page);
    state.previousIn = this.#pass;
  }

  /** Releases what an earlier pass has read. */
  releasePrevious(state: RequestState): void {
    if (state.previousIn === this.#pass) return;
    for (const page of state.previous.splice(0)) this.#pool.release(page);
  }

  /** Takes the states from a request; what this pass published is gone, since it is not computed. */
  preempt(state: RequestState): void {
    const undone = state.snapshotIn === this.#pass ? state.snapshot : [];
    this.release(state);
    for (const page of undone) this.#pool.discard(page);
  }

  /** Takes the states from a request; what is published stays until it is evicted. */
  release(state: RequestState): void {
    for (const page of state.previous.splice(0)) this.#pool.release(page);
    if (state.copiesIn === this.#pass) {
      for (const source of state.copies) {
        this.#pool.release(source.page!);
        source.page = undefined;
      }
    }
    state.copies = [];
    this.#disown(state);
    for (const page of state.working) this.#pool.release(page);
    state.working = [];
    state.slot = -1;
    state.snapshot = [];
    state.snapshotName = undefined;
    state.computedTokens = 0;
  }

  #create(): Page[] {
    return Array.from({ length: this.pagesPerState }, () => this.#pool.create());
  }

  #slotOf(tokens: number): number {
    return this.#blockSize === undefined ? -1 : Math.floor(Math.max(0, tokens - 1) / this.#blockSize);
  }

  #remember(state: RequestState, pages: Page[], name: bigint): void {
    state.snapshot = pages;
    state.snapshotName = name;
    state.snapshotIn = this.#pass;
    this.#fresh.add(name);
  }

  #disown(state: RequestState): void {
    if (!state.ownsSnapshot) return;
    for (const page of state.snapshot) this.#pool.release(page);
    state.ownsSnapshot = false;
  }
}
