import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineRequest } from "../../../../engines/mocker/engine_request.ts";
import { HostTier } from "../../../../engines/mocker/tiers/host_tier.ts";
import { PrivateLanes, SharedLinks } from "../../../../engines/mocker/tiers/host_transport.ts";
import { spec } from "../../../support/mock_requests.ts";

const LINK = { d2hGbps: 1, h2dGbps: 1, latencyMs: 0 };
const MEGABYTE = 1e6;
const keys = (...names: number[]) => names.map((name, place) => ({ key: BigInt(name), place }));
const finds = (tier: HostTier, ...names: number[]) => names.map((name) => tier.find(BigInt(name)));
const request = () => new EngineRequest(spec(0, [1, 2, 3], 1));

function privateTier(capacity: number) {
  const tier = new HostTier(capacity, MEGABYTE, new PrivateLanes(LINK));
  return { tier, client: tier.join(LINK, true, false) };
}

test("a store is found when its copy is over, and its rank hears of it then", () => {
  const { tier, client } = privateTier(4);
  const store = tier.reserve(client, "store", request(), keys(1, 2), 0);
  assert.deepEqual(finds(tier, 1, 2, 3), ["pending", "pending", "miss"]);
  tier.submitPrepared(client, 5);
  assert.equal(tier.nextMs(client), 7);
  assert.deepEqual(tier.tick(client, 6), { over: [], progressed: false });
  assert.deepEqual(tier.tick(client, 7), { over: [store], progressed: true });
  assert.deepEqual(finds(tier, 1, 2), ["hit", "hit"]);
  assert.deepEqual(client.events?.map(({ kind, tier }) => [kind, tier]), [["stored", "host_pinned"]]);
});

test("what was touched longest ago gives way; among blocks of one copy the hash decides", () => {
  const { tier, client } = privateTier(3);
  tier.reserve(client, "store", request(), keys(9, 5, 7), 0);
  tier.submitPrepared(client, 0);
  tier.tick(client, 10);
  tier.touch(5n);
  tier.reserve(client, "store", request(), keys(1), 10);
  assert.deepEqual(finds(tier, 5, 7, 9, 1), ["hit", "miss", "hit", "pending"]);
});

test("without room nothing changes: blocks that are read, written or asked for stay", () => {
  const { tier, client } = privateTier(2);
  tier.reserve(client, "store", request(), keys(1, 2), 0);
  assert.equal(tier.reserve(client, "store", request(), keys(3), 0), undefined);
  tier.submitPrepared(client, 0);
  tier.tick(client, 2);
  tier.load(client, request(), [1n, 2n], 2, 2);
  assert.equal(tier.reserve(client, "store", request(), keys(3), 2), undefined);
  tier.tick(client, 4);
  assert.equal(tier.reserve(client, "store", request(), keys(1, 2, 3), 4), undefined);
  assert.deepEqual(finds(tier, 1, 2, 3), ["hit", "hit", "miss"]);
});

test("a load that is given up lets go of its blocks, but the lane keeps its time", () => {
  const { tier, client } = privateTier(2);
  tier.reserve(client, "store", request(), keys(1, 2), 0);
  tier.submitPrepared(client, 0);
  tier.tick(client, 2);
  tier.cancelLoad(tier.load(client, request(), [1n, 2n], 2, 2), 2);
  assert.ok(tier.reserve(client, "store", request(), keys(3), 2));
  assert.equal(tier.load(client, request(), [2n], 2, 2).deadlineMs, 5);
});

test("ranks of a shared tier find each other's blocks, and wake for each other's copies", () => {
  const tier = new HostTier(4, MEGABYTE, new SharedLinks(1, 1));
  const [a, b] = [tier.join(LINK, false, false), tier.join(LINK, true, false)];
  tier.reserve(a, "store", request(), keys(1), 0);
  tier.submitPrepared(a, 0);
  assert.deepEqual([tier.nextMs(a), tier.nextMs(b), tier.hasWork(b)], [1, 1, false]);
  assert.deepEqual(tier.tick(b, 1), { over: [], progressed: true });
  assert.deepEqual(finds(tier, 1), ["hit"]);
  // The other rank has not heard of it yet.
  assert.equal(tier.nextMs(a), 1);
  assert.equal(tier.tick(a, 3).over.length, 1);
  assert.deepEqual([tier.nextMs(a), tier.hasWork(a)], [Infinity, false]);
  const late = tier.join(LINK, true, false);
  assert.equal(late.events?.length, 1);
});
