import assert from "node:assert/strict";
import { test } from "node:test";
import { type ComponentSnapshot, KvBlocks, type KvEventPublisher } from "@stator/worker";

function rig(dpRank?: number) {
  const told: string[] = [];
  const snapshots: [number, ComponentSnapshot][] = [];
  const blocks = new KvBlocks({ totalBlocks: 8, ...(dpRank === undefined ? {} : { dpRank }) });
  const publisher = {
    publishStored: ({ blockHashes }: { blockHashes: bigint[] }) => void told.push(`stored ${blockHashes}`),
    publishRemoved: (hashes: bigint[], tier = "device") => void told.push(`removed ${hashes} ${tier}`),
  } as unknown as KvEventPublisher;
  return {
    blocks,
    publisher,
    told,
    snapshots,
    sink: { publish: (rank: number, state: ComponentSnapshot) => void snapshots.push([rank, state]) },
  };
}

test("KvBlocks publishes what is stored and, once, that it is gone; and how full the cache is", () => {
  const { blocks, publisher, told, snapshots, sink } = rig(3);
  assert.equal(blocks.source.dpRank, 3);
  if (blocks.source.kind === "push") void blocks.source.onReady(publisher);
  blocks.report(sink);
  const held = blocks.store({ tokenIds: [1, 2], blockHashes: [5n, 6n], tier: "disk" });
  assert.equal(blocks.used, 2);
  held[Symbol.dispose]();
  held[Symbol.dispose]();
  assert.deepEqual(told, ["stored 5,6", "removed 5,6 disk"]);
  const state = (kvUsedBlocks: number) => [3, { kvUsedBlocks, kvTotalBlocks: 8, gpuCacheUsage: kvUsedBlocks / 8 }];
  assert.deepEqual(snapshots, [state(0), state(2), state(0)]);
});

test("KvBlocks only counts while nobody listens", () => {
  const { blocks } = rig();
  using _held = blocks.store({ tokenIds: [1], blockHashes: [1n] });
  assert.deepEqual([blocks.dpRank, blocks.used], [0, 1]);
});

test("KvBlocks counts nothing that could not be published", () => {
  const { blocks } = rig();
  const publishStored = () => {
    throw new RangeError("no token");
  };
  if (blocks.source.kind === "push") void blocks.source.onReady({ publishStored } as unknown as KvEventPublisher);
  assert.throws(() => blocks.store({ tokenIds: [-1], blockHashes: [1n] }), RangeError);
  assert.equal(blocks.used, 0);
});
