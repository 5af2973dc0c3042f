import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockPool } from "../../../engines/mocker/block_pool.ts";
import { EngineRequest } from "../../../engines/mocker/engine_request.ts";
import { KvEventLog } from "../../../engines/mocker/kv_event.ts";
import { dice, eventText, spec } from "../../support/mock_requests.ts";

function setUp(capacity: number) {
  const log = new KvEventLog();
  const pool = new BlockPool(capacity, log);
  const request = (id: number, ...blocks: number[]) => {
    const made = new EngineRequest(spec(id, blocks, 0));
    made.sequence.hashThrough(blocks.length);
    return made;
  };
  const hits = (made: EngineRequest) => {
    const found = { blocks: 0, active: 0 };
    pool.probe(made.sequence, made.promptTokens / 4, found);
    return found;
  };
  return { log, pool, request, hits };
}

test("acquire() gives all blocks or none", () => {
  const { pool, request } = setUp(3);
  const [a, b] = [request(1, 1, 2), request(2, 3, 4)];
  assert.equal(pool.acquire(a, 2, 0), true);
  assert.equal(pool.acquire(b, 2, 0), false);
  assert.deepEqual([a.blockCount, b.blockCount, pool.active, pool.obtainable], [2, 0, 2, 1]);
});

test("probe() finds what is cached and who uses it, also after its owner is gone", () => {
  const { pool, request, hits } = setUp(4);
  const a = request(1, 1, 2);
  pool.acquire(a, 2, 0);
  assert.deepEqual(hits(request(2, 1, 2)), { blocks: 0, active: 0 });
  pool.cache(a, 0, 2);
  assert.deepEqual(hits(request(2, 1, 2, 3)), { blocks: 2, active: 2 });
  assert.deepEqual(hits(request(2, 2, 1)), { blocks: 0, active: 0 });
  pool.release(a);
  assert.deepEqual(hits(request(2, 1, 2)), { blocks: 2, active: 0 });
  assert.deepEqual([pool.active, pool.inactive], [0, 2]);
});

test("eviction takes the tail of the sequence that was released first", () => {
  const { log, pool, request, hits } = setUp(4);
  const [a, b] = [request(1, 1, 2), request(2, 3, 4)];
  for (const made of [a, b]) {
    pool.acquire(made, 2, 0);
    pool.cache(made, 0, 2);
  }
  pool.release(b);
  pool.release(a);
  log.take();
  pool.acquire(request(3, 9), 1, 0);
  assert.deepEqual([hits(request(4, 3, 4)).blocks, hits(request(4, 1, 2)).blocks], [1, 2]);
  assert.equal(eventText(log.take()), "-1");
});

test("blocks that a request hits are not evicted to make room for it", () => {
  const { pool, request, hits } = setUp(3);
  const a = request(1, 1, 2);
  pool.acquire(a, 2, 0);
  pool.cache(a, 0, 2);
  pool.release(a);
  assert.equal(pool.acquire(request(2, 1, 2, 3, 4), 4, 2), false);
  assert.equal(pool.acquire(request(3, 1, 2, 3), 3, 2), true);
  assert.equal(hits(request(4, 1, 2)).active, 2);
});

test("content that is there twice is told once and forgotten with its last copy", () => {
  const { log, pool, request, hits } = setUp(2);
  const [a, b] = [request(1, 1), request(2, 1)];
  for (const made of [a, b]) pool.acquire(made, 1, 0);
  for (const made of [a, b]) pool.cache(made, 0, 1);
  assert.equal(eventText(log.take()), "+0..0");
  pool.release(a);
  pool.release(b);
  pool.acquire(request(3, 7), 1, 0);
  assert.equal(hits(request(4, 1)).blocks, 1);
  assert.equal(eventText(log.take()), "");
  pool.acquire(request(5, 8), 1, 0);
  assert.equal(hits(request(4, 1)).blocks, 0);
  assert.equal(eventText(log.take()), "-1");
});

test("thousands of random steps leave no block behind", () => {
  const { pool, request } = setUp(64);
  const random = dice(1);
  const held: EngineRequest[] = [];
  for (let step = 0; step < 5000; step++) {
    const made = request(step, ...Array.from({ length: 1 + random(6) }, (_, i) => i < 2 ? random(4) : random(50)));
    const found = { blocks: 0, active: 0 };
    pool.probe(made.sequence, made.promptTokens / 4, found);
    if (pool.acquire(made, made.promptTokens / 4, found.blocks)) {
      pool.cache(made, found.blocks, made.blockCount);
      held.push(made);
    }
    while (held.length > random(12)) pool.release(held.splice(random(held.length), 1)[0]!);
    const owned = new Set(held.flatMap(({ blocks, blockCount }) => [...blocks.subarray(0, blockCount)]));
    assert.equal(pool.active, owned.size);
  }
  for (const made of held) pool.release(made);
  assert.deepEqual([pool.active, pool.obtainable], [0, 64]);
});
