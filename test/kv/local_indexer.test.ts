import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvChange } from "../../src/kv/change.ts";
import { KvEventLog } from "../../src/kv/event_log.ts";
import { LocalIndexer } from "../../src/kv/local_indexer.ts";
import type { StorageTier, StoredData } from "../../src/protocol/kv_event.ts";
import type { RecoveryQuery, RecoveryReply } from "../../src/protocol/kv_recovery.ts";
import { pseudoRandom } from "../support/pseudo_random.ts";
import { CLEARED, range, remove, store, storedData } from "./changes.ts";

const ALL: RecoveryQuery = {
  ...{ worker_id: 7n, dp_rank: 0, start_event_id: null, end_event_id: null },
  ...{ supports_tree_dump_failed: true, kind: "recovery" },
};

/** An indexer after some changes, each a list of its own. */
function indexed(...changes: readonly KvChange[]): LocalIndexer {
  const indexer = new LocalIndexer(7n, 0);
  const log = new KvEventLog(7n, indexer);
  for (const change of changes) log.append([change]);
  return indexer;
}

/** The chains of a dump, by place. */
function chains(reply: RecoveryReply): [StorageTier, StoredData][] {
  assert.ok("TreeDump" in reply, JSON.stringify(Object.keys(reply)));
  return reply.TreeDump.events.map(({ storage_tier, event: { data } }) => {
    assert.ok(data !== "cleared" && "stored" in data);
    return [storage_tier, data.stored];
  });
}

const device = (...stored: StoredData[]) => stored.map((each) => ["device", each]);

// What Dynamo 1.6.1's own RadixTree holds after the same events.
const dumps: readonly (readonly [string, readonly KvChange[], unknown])[] = [
  ["nothing", [], []],
  ["a chain stored in pieces", [store([1]), store([2, 3], 1), store([4], 3)], device(storedData([1, 2, 3, 4]))],
  [
    "branches",
    [store([1, 2]), store([3], 1), store([4], 2)],
    device(storedData([1, 2]), storedData([3], 1), storedData([4], 2)),
  ],
  ["an unknown parent", [store([2], 1), store([3], 2)], []],
  ["a removed leaf", [store([1, 2]), remove([2])], device(storedData([1]))],
  ["a removed root, and so nothing", [store([1, 2, 3]), remove([1])], []],
  [
    "a root that is back, without what followed it",
    [store([1, 2, 3]), remove([1]), store([1])],
    device(storedData([1])),
  ],
  ["a removed middle", [store([1]), store([2], 1), store([3], 2), remove([2])], device(storedData([1]))],
  [
    "a child of what a removal took along",
    [store([1, 2, 3]), remove([1]), store([4], 3), store([1])],
    device(storedData([1])),
  ],
  ["a restored chain", [store([1, 2, 3]), remove([2]), store([2, 3], 1)], device(storedData([1, 2, 3]))],
  ["a removed branching", [store([1, 2, 3]), store([5, 6], 2), remove([2])], device(storedData([1]))],
  [
    "the other branch of a removed one",
    [store([1, 2, 3]), store([5, 6], 2), remove([3])],
    device(storedData([1, 2, 5, 6])),
  ],
  ["a chain removed from its end", [store([1, 2, 3]), remove([3, 2, 1])], []],
  ["a chain stored twice", [store([1, 2]), store([3], 2), store([1, 2])], device(storedData([1, 2, 3]))],
  ["cleared", [store([1, 2, 3]), CLEARED, store([4], 3)], []],
  ["a long chain", [store(range(1, 2999))], device(storedData(range(1, 2999)))],
];

/** What no router was asked. */
const ownDumps: typeof dumps = [
  ["cleared in all places", [store([1]), store([2], null, { tier: "disk" }), CLEARED], []],
  [
    "another place, whose parents may lie elsewhere",
    [store([1]), store([2, 3], 1, { tier: "host_pinned" }), remove([2], { tier: "host_pinned" })],
    [["device", storedData([1])], ["host_pinned", storedData([3], 2)]],
  ],
  ["another rank", [store([1], null, { dpRank: 1 })], []],
  ["a name used again elsewhere", [store([2, 3]), store([1]), store([2], 1)], device(storedData([1, 2]))],
  ["names used in a ring", [store([1, 2]), store([1], 2)], []],
];

for (const [name, changes, expected] of [...dumps, ...ownDumps]) {
  test(`a dump holds: ${name}`, () => assert.deepEqual(chains(indexed(...changes).answer(ALL)), expected));
}

const three = indexed(store([1]), store([2], 1), store([3], 2));
const answers: readonly (readonly [string, Partial<RecoveryQuery>, (reply: RecoveryReply) => unknown, unknown])[] = [
  ["everything", {}, Object.keys, ["TreeDump"]],
  ["a start before the first event", { start_event_id: 0n }, Object.keys, ["TreeDump"]],
  ["the first event on", { start_event_id: 1n }, ids, [1n, 2n, 3n]],
  ["the last event, whatever the end", { start_event_id: 3n, end_event_id: 9n }, ids, [3n]],
  [
    "events to come",
    { start_event_id: 4n },
    (reply) => reply,
    { TooNew: { requested_start: 4n, requested_end: null, newest_available: 3n } },
  ],
  [
    "an end before the start",
    { start_event_id: 3n, end_event_id: 2n },
    (reply) => reply,
    { InvalidRange: { start_id: 3n, end_id: 2n } },
  ],
  ["another worker", { worker_id: 8n }, (reply) => reply, { Error: "this is worker 7, not 8" }],
  ["another rank", { dp_rank: 1 }, (reply) => reply, { Error: "this is rank 0, not 1" }],
  ["what state agents do", { kind: "other" }, (reply) => reply, { Error: "only recovery is supported" }],
];

for (const [name, query, look, expected] of answers) {
  test(`asked for ${name}`, () => assert.deepEqual(look(three.answer({ ...ALL, ...query })), expected));
}

test("before the first event any start gets a dump", () => {
  assert.deepEqual(indexed().answer({ ...ALL, start_event_id: 5n }), {
    TreeDump: { events: [], last_event_id: 0n, reset_scope: "all" },
  });
});

test("the 1024 newest events are kept, older starts get a dump", () => {
  const indexer = indexed(...range(1, 1500).map((name) => store([name])));
  assert.deepEqual(ids(indexer.answer({ ...ALL, start_event_id: 477n })), range(477, 1500).map(BigInt));
  assert.equal(chains(indexer.answer({ ...ALL, start_event_id: 476n })).length, 1500);
});

test("a dump rebuilds what a router that missed nothing holds", () => {
  const random = pseudoRandom(3);
  const changes = Array.from({ length: 3000 }, () => {
    const name = 1 + random.below(200);
    // Parents have smaller names, so that there is no ring.
    const parent = random.below(4) === 0 ? null : Math.floor(name / 2) || null;
    return random.below(3) === 0 ? remove([name]) : store([name], parent);
  });
  const indexer = indexed(...changes);
  const again = new LocalIndexer(7n, 0);
  const reply = indexer.answer(ALL);
  assert.ok("TreeDump" in reply);
  for (const event of reply.TreeDump.events) again.apply(event);
  assert.ok(again.size > 10);
  assert.equal(again.size, chains(reply).reduce((sum, [, { blocks }]) => sum + blocks.length, 0));
  assert.deepEqual(chains(again.answer(ALL)), chains(reply));
});

function ids(reply: RecoveryReply): bigint[] {
  assert.ok("Events" in reply, JSON.stringify(Object.keys(reply)));
  assert.equal(reply.Events.last_event_id, reply.Events.events.at(-1)!.event.event_id);
  return reply.Events.events.map(({ event }) => event.event_id);
}
