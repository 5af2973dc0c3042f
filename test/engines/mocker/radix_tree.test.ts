import assert from "node:assert/strict";
import { test } from "node:test";
import { RadixCache, SglangRequest } from "../../../engines/mocker/radix_cache.ts";
import { dice, spec } from "../../support/mock_requests.ts";

function setUp(pages: number) {
  const cache = new RadixCache(pages, 4, true);
  const request = (id: number, ...blocks: number[]) => {
    const made = new SglangRequest(spec(id, blocks, 0), 0);
    made.sequence.hashThrough(blocks.length);
    return made;
  };
  /** Computes a prompt and ends the request. */
  const run = (id: number, ...blocks: number[]) => {
    const made = request(id, ...blocks);
    const cached = cache.allocate(made, blocks.length, blocks.length);
    made.computedTokens = 4 * blocks.length;
    cache.finish(made);
    return cached;
  };
  const match = (...blocks: number[]) => cache.matchLength(request(0, ...blocks), blocks.length);
  return { cache, request, run, match };
}

test("a finished prompt is found by others, as far as they agree", () => {
  const { run, match, cache } = setUp(16);
  run(1, 1, 2, 3, 4);
  assert.deepEqual([match(1, 2, 3, 4), match(1, 2, 9), match(2, 3)], [4, 2, 0]);
  assert.equal(run(2, 1, 2, 8), 2);
  assert.deepEqual([match(1, 2, 3, 4), match(1, 2, 8), cache.available], [4, 3, 16 - 5]);
});

test("what a request uses is not evicted; leaves go from their end, the longest unused first", () => {
  const { cache, request, run, match } = setUp(6);
  run(1, 1, 2, 3);
  run(2, 1, 7);
  const user = request(3, 1, 2);
  assert.equal(cache.allocate(user, 2, 2), 2);
  cache.evictFor(3);
  assert.deepEqual([match(1, 2, 3), match(1, 7)], [2, 2]);
  cache.evictFor(4);
  assert.deepEqual([match(1, 2), match(1, 7), cache.available], [2, 1, 4]);
  cache.evictFor(6);
  assert.deepEqual([match(1, 2), cache.available], [2, 4]);
  cache.abandon(user);
  cache.evictFor(6);
  assert.deepEqual([match(1), cache.available], [0, 6]);
});

test("two that compute the same at the same time share it afterwards, and the second copy is free again", () => {
  const { cache, request } = setUp(8);
  const twins = [request(1, 1, 2), request(2, 1, 2)];
  for (const twin of twins) {
    cache.allocate(twin, 2, 0);
    twin.computedTokens = 8;
  }
  assert.equal(cache.available, 4);
  for (const twin of twins) cache.cacheUnfinished(twin, 2);
  assert.equal(cache.available, 6);
  assert.deepEqual(twins[0]!.blocks.subarray(0, 2), twins[1]!.blocks.subarray(0, 2));
  for (const twin of twins) cache.finish(twin);
  assert.deepEqual([cache.available, cache.obtainable], [6, 8]);
});

test("allocate() without room holds nothing", () => {
  const { cache, request } = setUp(2);
  const large = request(1, 1, 2, 3);
  assert.equal(cache.allocate(large, 3, 3), -1);
  assert.deepEqual([large.node, cache.available], [undefined, 2]);
});

test("thousands of random requests leave every page free or evictable", () => {
  const { cache, request } = setUp(48);
  const random = dice(3);
  const held: SglangRequest[] = [];
  for (let step = 0; step < 5000; step++) {
    const blocks = Array.from({ length: 1 + random(7) }, (_, i) => i < 3 ? random(3) : random(40));
    const made = request(step, ...blocks);
    if (cache.allocate(made, blocks.length, random(blocks.length + 1)) >= 0) {
      made.computedTokens = 4 * blocks.length;
      if (random(2) === 0) cache.cacheUnfinished(made, blocks.length);
      held.push(made);
    }
    while (held.length > random(8)) {
      const [gone] = held.splice(random(held.length), 1);
      if (random(3) === 0) cache.abandon(gone!);
      else cache.finish(gone!);
    }
  }
  for (const made of held) cache.finish(made);
  assert.equal(cache.obtainable, 48);
});
