import assert from "node:assert/strict";
import { test } from "node:test";
import { KvEventLog } from "../../src/kv/event_log.ts";
import type { KvItem } from "../../src/engine/kv_source.ts";
import { PushSource } from "../../src/kv/push_source.ts";
import { decodeZmqFrames } from "../../src/protocol/event.ts";
import { eventCaptures } from "./kv_golden.ts";
import { toHex } from "./transcript.ts";

/** One block of four tokens, or two, as the captured calls had them. */
const FOUR = [1, 2, 3, 4];
const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];
const stored = (tokenIds: number[], blockHashes: bigint[], rest: object = {}): KvItem => ({
  ...{ type: "stored", tokenIds, blockHashes },
  ...rest,
});
const removed = (...blockHashes: bigint[]): KvItem => ({ type: "removed", blockHashes });
const mmInfos = [{ mm_objects: [{ mm_hash: 77n, offsets: [[0, 2]] }] }];

/** The calls made on a stock publisher, in order; each a batch. */
const CALLS: readonly (readonly [label: string, items: readonly KvItem[]])[] = [
  ["push_stored_root", [stored(EIGHT, [101n, 102n])]],
  ["push_stored_child", [stored([9, 10, 11, 12], [103n], { parentHash: 102n })]],
  ["push_stored_negative_hash_lora", [stored(FOUR, [-5n], { loraName: "adapter-a" })]],
  ["push_stored_cache_salt", [stored(FOUR, [201n], { cacheNamespace: "tenant-a" })]],
  ["push_stored_mm", [stored(FOUR, [202n], { mmInfos })]],
  ["push_stored_eagle", [stored([...FOUR, 5], [203n], { isEagle: true })]],
  ["push_short_last_block", [stored([...FOUR, 5, 6], [301n, 302n], { numBlockTokens: [4, 2] })]],
  ["push_first_block_wrong_size", [stored([1, 2, 3, 4, 5, 6], [302n, 303n], { numBlockTokens: [2, 4] })]],
  ["push_len_mismatch", [stored(EIGHT, [304n], { numBlockTokens: [4, 4] })]],
  ["push_removed", [removed(102n, 103n)]],
  ["push_removed_again_untracked", [removed(102n)]],
  ["push_stored_twice", [stored(FOUR, [401n])]],
  ["push_stored_twice", [stored(FOUR, [401n])]],
  ["push_removed_refcount_1", [removed(401n)]],
  ["push_removed_refcount_0", [removed(401n)]],
  ["push_batch", [stored(EIGHT, [501n, 502n]), removed(501n), removed(502n)]],
];

test("a push source publishes what a stock one did for the same calls", () => {
  const sent: Uint8Array[] = [];
  const source = new PushSource({
    ...{ dpRank: 0, blockSize: 4, log: new KvEventLog(1234567890123456789n) },
    send: (payload) => sent.push(payload),
  });
  for (const [, items] of CALLS) source.publishBatch(items);
  const captured = eventCaptures("event_plane_messages").filter(({ label }) => label.startsWith("push_"));
  assert.deepEqual(
    captured.map(({ label }) => label),
    CALLS.map(([label]) => label).filter((label) => label !== "push_removed_refcount_1"),
  );
  for (const [i, { label, frames }] of captured.entries()) {
    assert.equal(toHex(sent[i]!), toHex(decodeZmqFrames(frames).envelope.payload), label);
  }
  assert.equal(sent.length, captured.length);
});
