import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockCounts } from "../../src/kv/block_counts.ts";
import { KvEventLog } from "../../src/kv/event_log.ts";
import { decodeKvEvents, type RouterEvent } from "../../src/protocol/kv_event.ts";
import { CLEARED, range, remove, store } from "./changes.ts";

function read(payloads: readonly Uint8Array[]): RouterEvent[][] {
  return payloads.map(decodeKvEvents);
}

test("ids begin at 1 and follow one another, and what is dropped takes none", () => {
  const log = new KvEventLog(7n);
  assert.equal(log.lastEventId, 0n);
  log.append([store([1])]);
  log.append([store([1])]);
  assert.deepEqual(log.append([remove([1])]), []);
  const [events] = read(log.append([remove([1])]));
  assert.deepEqual(events!.map(({ event }) => event.event_id), [3n]);
  assert.equal(log.lastEventId, 3n);
});

test("an event says whose it is", () => {
  const [events] = read(new KvEventLog(7n).append([store([1], null, { tier: "disk", dpRank: 2, sessionId: "s" })]));
  const { event, ...rest } = events![0]!;
  assert.deepEqual(rest, { worker_id: 7n, storage_tier: "disk", residency_domain: "worker", session_id: "s" });
  assert.equal(event.dp_rank, 2);
});

test("no changes make no message", () => assert.deepEqual(new KvEventLog(7n).append([]), []));

test("a message has at most 128 events", () => {
  const changes = range(1, 300).map((name) => store([name]));
  assert.deepEqual(read(new KvEventLog(7n).append(changes)).map((events) => events.length), [128, 128, 44]);
});

test("a message has at most 8192 blocks, unless one event has more", () => {
  const sizes = (...blocks: number[]) => {
    let first = 1;
    const changes = blocks.map((count) => store(range(first, (first += count) - 1)));
    return read(new KvEventLog(7n).append(changes)).map((events) => events.length);
  };
  assert.deepEqual(sizes(8000, 192, 1), [2, 1]);
  assert.deepEqual(sizes(8000, 193), [1, 1]);
  assert.deepEqual(sizes(1, 9000, 1), [1, 1, 1]);
});

test("BlockCounts passes a removal with its last store only", () => {
  const counts = new BlockCounts();
  counts.pass(store([1, 2]));
  counts.pass(store([1]));
  assert.deepEqual(counts.pass(remove([1, 2])), remove([2]));
  assert.equal(counts.pass(remove([])), null);
  assert.deepEqual(counts.pass(remove([1, 8])), remove([1, 8]));
  assert.equal(counts.size, 0);
});

test("BlockCounts counts each place and rank for itself, and forgets a cleared rank in all places", () => {
  const counts = new BlockCounts();
  for (const rest of [{}, { tier: "disk" }, { dpRank: 1 }] as const) {
    counts.pass(store([1], null, rest));
    counts.pass(store([1], null, rest));
  }
  assert.equal(counts.pass(remove([1], { dpRank: 1 })), null);
  counts.pass(CLEARED);
  assert.equal(counts.size, 1);
  assert.deepEqual(counts.pass(remove([1], { tier: "disk" })), remove([1], { tier: "disk" }));
  assert.deepEqual(counts.pass(remove([1], { dpRank: 1 })), remove([1], { dpRank: 1 }));
});
