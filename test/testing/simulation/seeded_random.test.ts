import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/testing/simulation/seeded_random.ts";

const draw = (random: SeededRandom) => Array.from({ length: 100 }, () => random.number());

test("the same seed gives the same numbers, another seed others", () => {
  assert.deepEqual(draw(new SeededRandom(7)), draw(new SeededRandom(7)));
  assert.notDeepEqual(draw(new SeededRandom(7)), draw(new SeededRandom(8)));
});

test("the numbers are the same on every runtime", () => {
  const random = new SeededRandom(1);
  assert.equal(random.u64(), 0xd494e896a909b86cn);
});

test("a stream does not depend on what else is drawn", () => {
  const [a, b] = [new SeededRandom(1), new SeededRandom(1)];
  a.number();
  assert.deepEqual(draw(a.stream("network")), draw(b.stream("network")));
  assert.notDeepEqual(draw(a.stream("network")), draw(a.stream("store")));
});

test("numbers are spread evenly over their range", () => {
  const random = new SeededRandom("even");
  const counts = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) counts[random.integer(0, 9)]!++;
  assert.ok(counts.every((count) => count > 850 && count < 1150), `${counts}`);
  assert.ok(draw(random).every((number) => number >= 0 && number < 1));
});

test("weighted() follows the weights, and never takes what has none", () => {
  const random = new SeededRandom("weights");
  const counts = { often: 0, seldom: 0, never: 0 };
  for (let i = 0; i < 1000; i++) counts[random.weighted({ often: 9, seldom: 1, never: 0 })]++;
  assert.equal(counts.never, 0);
  assert.ok(counts.seldom > 50 && counts.seldom < 150, `${counts.seldom}`);
});

test("uuid() is of version 4", () => {
  assert.match(new SeededRandom(3).uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
