import assert from "node:assert/strict";
import { test } from "node:test";
import { KvEventLog } from "../../src/kv/event_log.ts";
import { PushSource } from "../../src/kv/push_source.ts";
import { BlockHasher, sequenceHashes } from "../../src/protocol/block_hash.ts";
import { decodeKvEvents, type RouterEvent } from "../../src/protocol/kv_event.ts";

/** A source, and what it sent and said. */
function rig(): { source: PushSource; sent: RouterEvent[][]; left: number[] } {
  const sent: RouterEvent[][] = [];
  const left: number[] = [];
  const source = new PushSource({
    ...{ dpRank: 2, blockSize: 4, log: new KvEventLog(7n) },
    send: (payload) => sent.push(decodeKvEvents(payload)),
    reportLeft: (blocks) => left.push(blocks),
  });
  return { source, sent, left };
}

test("without names of its own, an engine's blocks are named by their sequence hashes", () => {
  const { source, sent } = rig();
  const tokenIds = Uint32Array.from({ length: 11 }, (_, i) => i);
  const local = new BlockHasher(4).localHashes(tokenIds);
  const names = sequenceHashes(local);
  source.publishStored({ tokenIds: tokenIds.subarray(0, 4) });
  source.publishStored({ tokenIds: tokenIds.subarray(4), parentHash: names[0]! });
  const blocks = sent.flat().flatMap(({ event: { data } }) =>
    data !== "cleared" && "stored" in data ? data.stored.blocks : []
  );
  assert.deepEqual(blocks.map(({ block_hash }) => block_hash), [...names]);
  assert.deepEqual(blocks.map(({ tokens_hash }) => tokens_hash), [...local]);
});

test("removed and cleared blocks carry rank and place", () => {
  const { source, sent } = rig();
  source.publishRemoved([-1n], "disk");
  source.publishCleared();
  const seen = sent.flat().map(({ storage_tier, event }) => [storage_tier, event.dp_rank, event.data]);
  assert.deepEqual(seen, [
    ["disk", 2, { removed: { block_hashes: [2n ** 64n - 1n] } }],
    ["device", 2, "cleared"],
  ]);
});

test("a batch with a bad item is refused whole", () => {
  const { source, sent } = rig();
  const items = [{ type: "cleared" }, { type: "stored", tokenIds: [1, 2, 3, -4] }] as const;
  assert.throws(() => source.publishBatch(items), /Cannot hash token id -4/);
  source.publishCleared();
  assert.deepEqual(sent.flat().map(({ event }) => event.event_id), [1n]);
});

test("blocks that are not full are told to someone", () => {
  const { source, left } = rig();
  source.publishStored({ tokenIds: [1, 2, 3, 4, 5], blockHashes: [1n, 2n] });
  source.publishStored({ tokenIds: [1, 2, 3, 4], blockHashes: [1n] });
  assert.deepEqual(left, [1]);
});

test("a closed source publishes nothing", () => {
  const { source, sent } = rig();
  source.close();
  source.publishCleared();
  assert.deepEqual(sent, []);
});
