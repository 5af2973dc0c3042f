import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineRelay } from "../../src/kv/engine_relay.ts";
import { KvEventLog } from "../../src/kv/event_log.ts";
import { createLog } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { splitEngineFrames } from "../../src/protocol/engine_batch.ts";
import { decodeKvEvents, type RouterEvent } from "../../src/protocol/kv_event.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { engineCaptures } from "../wire/kv_golden.ts";

const NAME = { namespace: "dynamo", component: "sample", endpoint: "generate" };

function rig(dpRank = 0) {
  const sent: RouterEvent[] = [];
  const lines: string[] = [];
  const metrics = createMetrics({ instanceId: 7n, now: () => 0 });
  metrics.endpoint(NAME);
  const relay = new EngineRelay({
    ...{ dpRank, blockSize: 4, events: new KvEventLog(7n), metrics: metrics.kvEvents(NAME) },
    send: (payload) => sent.push(...decodeKvEvents(payload)),
    log: createLog({ wallTime: () => 0, write: (line) => void lines.push(line) }),
  });
  const counts = async () =>
    (await metrics.text()).split("\n").flatMap((line) => {
      const found = /^(?:dynamo_component_kv_publisher|stator_kv)_(\w+?)(?:_total)?\{(.*)\} (\S+)$/.exec(line);
      if (found === null) return [];
      const labels = found[2]!.replace(/dynamo_\w+="\w+",?|,?worker_id="7"/g, "").replace(/\w+="(\w+)"/g, "$1");
      return [`${found[1]} ${labels} ${found[3]}`];
    }).sort();
  return { relay, sent, lines, counts };
}

const stored = (name: number, rest: object = {}) => ({
  ...{ type: "BlockStored", block_hashes: [name], parent_block_hash: null, token_ids: [1, 2, 3, 4], block_size: 4 },
  ...rest,
});
const batch = (events: readonly object[], rank: number | null = 0) => encodeMsgpack([0, events, rank]);

test("what a stock worker was fed is counted as a stock worker counts it", async () => {
  const { relay, counts } = rig();
  for (const { frames } of engineCaptures()) relay.take(splitEngineFrames(frames).batch);
  assert.deepEqual(
    await counts(),
    [
      "engines_dropped_events  0",
      // A stock worker counts this one nowhere.
      "zmq_conversion_issues stored,conversion_none 1",
      "zmq_events cleared,accepted 2",
      "zmq_events cleared,received 2",
      "zmq_events removed,accepted 3",
      "zmq_events removed,received 3",
      // Seen on 1.6.1: 18 and 21, since it takes the batch of rank 3, which its router then drops.
      "zmq_events stored,accepted 17",
      "zmq_events stored,received 20",
      "zmq_filtered_events stored,non_local_locality 1",
      "zmq_filtered_events stored,non_main_attention_kind 1",
      "zmq_filtered_events stored,unknown_medium 1",
      "zmq_suspicious_events stored,empty_store_blocks 1",
      "engine_batches_dropped foreign_rank 1",
      "engine_batches_dropped unreadable 2",
    ].sort(),
  );
});

test("a batch of another rank is dropped whole, and one warning says what to do", async () => {
  const { relay, sent, lines, counts } = rig(2);
  relay.take(batch([stored(1)], 1));
  relay.take(batch([stored(2)], null));
  relay.take(batch([stored(3)], 2));
  assert.deepEqual(sent.map(({ event }) => [event.event_id, event.dp_rank]), [[1n, 2]]);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /WARN KV events of rank 1 came to the source of rank 2 .*stamp its batches with 2/);
  assert.ok((await counts()).includes("engine_batches_dropped foreign_rank 2"));
});

test("what cannot be read is dropped whole, and one warning says why", async () => {
  const { relay, sent, lines, counts } = rig();
  relay.take(Uint8Array.of(0xc1));
  relay.take(batch([stored(1), { type: "BlockRemoved", block_hashes: ["long"] }]));
  relay.unreadable(new SyntaxError("2 frames"));
  assert.deepEqual(sent, []);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /WARN KV events of the engine cannot be read .*not MessagePack/);
  assert.ok((await counts()).includes("engine_batches_dropped unreadable 3"));
});

test("after a restart the rank is empty, and nothing is remembered of the blocks before", () => {
  const { relay, sent, lines } = rig(1);
  relay.take(batch([stored(1, { cache_salt: "a" })], 1));
  relay.restarted();
  relay.take(batch([stored(2, { parent_block_hash: 1 }), stored(1)], 1));
  const { event: cleared } = sent[1]!;
  assert.deepEqual([cleared.data, cleared.dp_rank, cleared.event_id], ["cleared", 1, 2n]);
  assert.equal(sent.length, 4);
  assert.match(lines[0]!, /WARN The engine began anew/);
});

test("lost batches and blocks of another size are warned of once each", async () => {
  const { relay, lines, counts } = rig();
  relay.lost(3);
  relay.lost(1);
  relay.take(batch([stored(1, { block_size: 8 }), stored(2, { block_hashes: [2, 3] })]));
  relay.take(batch([stored(4, { block_size: 8 })]));
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /got lost/);
  assert.match(lines[1]!, /not full, or of another size/);
  const seen = await counts();
  assert.ok(seen.includes("engines_dropped_events  4"));
  assert.ok(seen.includes("zmq_suspicious_events stored,empty_store_blocks 2"));
});

test("a batch of the engine is one message for routers, its neighbours merged", () => {
  const { relay, sent } = rig();
  relay.take(batch([stored(1), stored(2, { parent_block_hash: 1 }), { type: "Ignored" }, stored(9)]));
  const names = sent.map(({ event: { data } }) =>
    data !== "cleared" && "stored" in data ? data.stored.blocks.map(({ block_hash }) => block_hash) : []
  );
  assert.deepEqual(names, [[1n, 2n], [9n]]);
});
