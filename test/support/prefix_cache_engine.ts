/**
 * An engine with a prefix cache and nothing else: it remembers the blocks of every prompt, for good, and says so.
 *
 * `PREFIX_CACHE_MODEL` names the model, `PREFIX_CACHE_RANKS` is the number of data-parallel ranks, `PREFIX_CACHE_USED` is
 * a number of blocks that it reports as used, `PREFIX_CACHE_EVENTS=off` makes it say nothing. Each answer is one token, `a`
 * from rank 0 and `b` from rank 1; its usage says how many tokens of the prompt were in the cache of the rank chosen.
 *
 * @module
 */
import process from "node:process";
import { chunk, defineEngine, type KvEventPublisher, serve, type SnapshotPublisher, usage } from "@stator/worker";
import { BlockHasher, sequenceHashes } from "@stator/worker/protocol";

const { PREFIX_CACHE_MODEL: model = "", PREFIX_CACHE_RANKS = "1", PREFIX_CACHE_USED, PREFIX_CACHE_EVENTS } =
  process.env;
const BLOCK_SIZE = 16;
/** Token of the letter a. */
const A = 64;
const TOTAL_BLOCKS = 1000;
const ranks = Array.from({ length: Number(PREFIX_CACHE_RANKS) }, (_, rank) => rank);
const publishers = new Map<number, KvEventPublisher>();
const caches = new Map(ranks.map((rank) => [rank, new Set<bigint>()]));
const hasher = new BlockHasher(BLOCK_SIZE, {});

let snapshots: SnapshotPublisher | null = null;
let requests = 0;

/** Reports the use with every request, and a block more with every other: frontends that come later hear only changes. */
function tellUse(): void {
  if (PREFIX_CACHE_USED === undefined) return;
  const kvUsedBlocks = Number(PREFIX_CACHE_USED) + requests++ % 2;
  const gpuCacheUsage = kvUsedBlocks / TOTAL_BLOCKS;
  for (const rank of ranks) snapshots?.publish(rank, { kvUsedBlocks, kvTotalBlocks: TOTAL_BLOCKS, gpuCacheUsage });
}

await serve(defineEngine({
  start: () =>
    Promise.resolve({
      model,
      servedModelName: model,
      contextLength: 4096,
      kvCacheBlockSize: BLOCK_SIZE,
      totalKvBlocks: TOTAL_BLOCKS,
      dataParallelSize: ranks.length,
    }),
  kvEventSources: () =>
    PREFIX_CACHE_EVENTS === "off" ? [] : ranks.map((dpRank) => ({
      kind: "push",
      dpRank,
      onReady: (publisher) => void publishers.set(dpRank, publisher),
    })),
  componentMetricsDpRanks: () => PREFIX_CACHE_USED === undefined ? [] : ranks,
  attachSnapshotPublisher: (publisher) => void (snapshots = publisher),
  async *generate({ token_ids: tokenIds, routing }) {
    await Promise.resolve();
    tellUse();
    const rank = routing.dp_rank ?? 0;
    const cache = caches.get(rank)!;
    const blocks = [...sequenceHashes(hasher.localHashes(tokenIds))];
    const known = blocks.findIndex((block) => !cache.has(block));
    const hits = known < 0 ? blocks.length : known;
    if (hits < blocks.length) {
      const parentHash = blocks[hits - 1] ?? null;
      publishers.get(rank)?.publishStored({ tokenIds: tokenIds.subarray(hits * BLOCK_SIZE), parentHash });
      for (const block of blocks) cache.add(block);
    }
    const used = usage(tokenIds.length, 1);
    yield chunk.length({ ...used, prompt_tokens_details: { cached_tokens: hits * BLOCK_SIZE } }, [A + rank]);
  },
  cleanup() {},
}));
