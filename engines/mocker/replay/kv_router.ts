/**
 * A router that knows the workers' caches.
 *
 * @source dynamo-kv-router 1.6.1, `scheduling/selector/reference.rs`, `worker_logit`, with its default weights
 * @module
 */
import { ChachaCoin } from "../coin.ts";
import type { KvEvent } from "../kv_event.ts";
import type { PlacedRequest, Placement, PlacementPolicy } from "./placement.ts";

const HIGH_MASK = 0x1fffff;
const TWO_32 = 2 ** 32;
/** What a block on the host is worth beside a cached one. @source dynamo-kv-router 1.6.1, `default_host_cache_hit_weight` */
const HOST_WEIGHT = 0.75;

/** What the router believes of one rank. */
interface RankView {
  readonly cached: Set<number>;
  /** What lies on the host for it. */
  readonly hosted: Set<number>;
  /** Blocks of requests it was given, by how many of them use a block. */
  readonly active: Map<number, number>;
  prefillTokens: number;
}

/** Chooses among ranks that cost the same, numbered over all workers; at least one. */
export type TieBreak = (places: readonly number[]) => number;

interface Routed {
  readonly view: RankView;
  readonly blocks: readonly number[];
  prefillTokens: number;
}

/**
 * Chooses the rank with the least to compute and to hold: prompt blocks that are not cached, plus those of other
 * prompts that wait there, plus blocks in use. Of equal ranks one is drawn; the draw is not the peer's.
 */
export class KvRouter implements PlacementPolicy {
  readonly #views: readonly RankView[];
  readonly #ranks: number;
  readonly #blockSize: number;
  readonly #breakTie: TieBreak;
  readonly #routed = new Map<number, Routed>();

  /** Chooses among workers with the same number of ranks. */
  constructor(workers: number, ranks: number, blockSize: number, breakTie: TieBreak = seededTieBreak(0)) {
    this.#views = Array.from({ length: workers * ranks }, () => ({
      cached: new Set<number>(),
      hosted: new Set<number>(),
      active: new Map<number, number>(),
      prefillTokens: 0,
    }));
    this.#ranks = ranks;
    this.#blockSize = blockSize;
    this.#breakTie = breakTie;
  }

  place(request: PlacedRequest): Placement {
    const blocks = this.#blocksOf(request);
    const overlaps = this.#views.map((view) => overlapOf(blocks, view));
    const costs = this.#views.map((view, place) => this.#cost(view, blocks, request.promptTokens, overlaps[place]!));
    const least = Math.min(...costs);
    const best = this.#breakTie(costs.flatMap((cost, place) => cost === least ? [place] : []));
    const overlap = overlaps[best]!;
    this.#take(request, this.#views[best]!, blocks, overlap);
    return {
      worker: Math.floor(best / this.#ranks),
      rank: best % this.#ranks,
      overlapTokens: Math.round(overlap) * this.#blockSize,
    };
  }

  onPrefillDone(id: number): void {
    const routed = this.#routed.get(id);
    if (routed === undefined) return;
    routed.view.prefillTokens -= routed.prefillTokens;
    routed.prefillTokens = 0;
  }

  onEnd(id: number): void {
    const routed = this.#routed.get(id);
    if (routed === undefined) return;
    this.onPrefillDone(id);
    this.#routed.delete(id);
    const { active } = routed.view;
    for (const block of routed.blocks) {
      const users = active.get(block)! - 1;
      if (users > 0) active.set(block, users);
      else active.delete(block);
    }
  }

  onKvEvents(worker: number, rank: number, events: readonly KvEvent[]): void {
    const { cached, hosted } = this.#views[worker * this.#ranks + rank]!;
    for (const event of events) {
      const held = event.tier === undefined ? cached : hosted;
      if (event.kind === "stored") {
        const { hashes } = event.sequence;
        for (let i = event.first; i < event.first + event.count; i++) held.add(keyAt(hashes, i));
      } else {
        for (let i = 0; i < event.hashes.length / 2; i++) held.delete(keyAt(event.hashes, i));
      }
    }
  }

  #cost(view: RankView, blocks: readonly number[], promptTokens: number, overlap: number): number {
    const prefill = Math.max(0, (view.prefillTokens + promptTokens) / this.#blockSize - overlap);
    let decode = view.active.size;
    for (const block of blocks) if (!view.active.has(block)) decode++;
    return prefill + decode;
  }

  #take(request: PlacedRequest, view: RankView, blocks: readonly number[], overlap: number): void {
    const prefillTokens = Math.max(0, request.promptTokens - Math.round(overlap * this.#blockSize));
    view.prefillTokens += prefillTokens;
    for (const block of blocks) view.active.set(block, (view.active.get(block) ?? 0) + 1);
    this.#routed.set(request.id, { view, blocks, prefillTokens });
  }

  #blocksOf({ sequence, promptTokens }: PlacedRequest): number[] {
    const full = Math.floor(promptTokens / this.#blockSize);
    sequence.hashThrough(full);
    return Array.from({ length: full }, (_, i) => keyAt(sequence.hashes, i));
  }
}

/** Draws with equal chances. */
export function seededTieBreak(seed: number): TieBreak {
  const coin = new ChachaCoin(seed);
  return (places) => places.find((_, i) => coin.flip(1 / (places.length - i)))!;
}

/** Leading blocks that a rank has, those behind them on the host by their weight. */
function overlapOf(blocks: readonly number[], { cached, hosted }: RankView): number {
  let count = 0;
  while (count < blocks.length && cached.has(blocks[count]!)) count++;
  let onHost = 0;
  while (count + onHost < blocks.length && hosted.has(blocks[count + onHost]!)) onHost++;
  return count + HOST_WEIGHT * onHost;
}

function keyAt(hashes: Uint32Array, block: number): number {
  return (hashes[2 * block + 1]! & HIGH_MASK) * TWO_32 + hashes[2 * block]!;
}
