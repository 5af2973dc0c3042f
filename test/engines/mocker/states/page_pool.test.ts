import assert from "node:assert/strict";
import { test } from "node:test";
import { KvEventLog } from "../../../../engines/mocker/kv_event.ts";
import { type Page, PagePool } from "../../../../engines/mocker/states/page_pool.ts";
import { eventText } from "../../../support/mock_requests.ts";

function setUp(capacity: number) {
  const log = new KvEventLog();
  const pool = new PagePool(capacity, log);
  const states = new Map<bigint, Page[]>();
  const published = (name: bigint, among = pool.tokens) => {
    assert.ok(pool.take(1));
    const page = pool.create();
    pool.publish(page, among, name);
    return page;
  };
  return { log, pool, states, published };
}

test("take() gives all of the room and all of the hits, or nothing", () => {
  const { pool, published } = setUp(3);
  const page = published(1n);
  pool.release(page);
  assert.equal(pool.take(3, [page]), false);
  assert.deepEqual([pool.active, pool.inactive, page.owners], [0, 1, 0]);
  assert.equal(pool.take(2, [page]), true);
  assert.deepEqual([pool.active, pool.inactive, page.owners], [3, 0, 1]);
});

test("the page that lost its last owner first is evicted first, under all its names", () => {
  const { pool, log, published } = setUp(2);
  const [a, b] = [published(1n), published(2n)];
  pool.publish(a, pool.tokens, 3n);
  pool.release(b);
  pool.release(a);
  assert.ok(pool.take(1));
  assert.deepEqual([pool.tokens.has(1n), pool.tokens.has(2n)], [true, false]);
  assert.ok(pool.take(1));
  assert.deepEqual([pool.tokens.size, eventText(log.take())], [0, "-1 -1"]);
});

test("a copy keeps a name, and nobody hears of an evicted state", () => {
  const { pool, log, states, published } = setUp(3);
  const [first, copy, state] = [published(1n), published(1n), published(1n, states)];
  for (const page of [first, state]) pool.release(page);
  assert.ok(pool.take(2));
  assert.deepEqual([pool.find(pool.tokens, 1n), states.size, eventText(log.take())], [copy, 0, ""]);
});

test("discard() frees only what has no owner, and hide() takes the names", () => {
  const { pool, states, published } = setUp(2);
  const page = published(1n, states);
  pool.discard(page);
  assert.deepEqual([states.size, pool.active], [1, 1]);
  pool.hide(page);
  assert.deepEqual([states.size, pool.isPrivate(page)], [0, true]);
  pool.release(page);
  pool.discard(page);
  assert.deepEqual([pool.active, pool.inactive], [0, 0]);
});
