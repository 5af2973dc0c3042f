import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../../src/zmtp/heartbeat.ts";
import { FakeClock } from "../support/fake_clock.ts";

function makeHeartbeat() {
  const clock = new FakeClock();
  const said: string[] = [];
  const heartbeat = new Heartbeat(clock, (silentMs) => said.push(`gave up after ${silentMs}`));
  return { clock, said, heartbeat, ping: () => void said.push("ping") };
}

test("a peer that answers is pinged on and on; one that falls silent is given up once", async () => {
  const { clock, said, heartbeat, ping } = makeHeartbeat();
  heartbeat.start({ intervalMs: 100, timeoutMs: 250 }, ping);
  for (let i = 0; i < 10; i++) {
    await clock.advance(100);
    heartbeat.heard();
  }
  assert.deepEqual(said.splice(0), Array(10).fill("ping"));
  await clock.advance(10_000);
  assert.deepEqual(said, ["ping", "ping", "ping", "gave up after 400"]);
  assert.equal(clock.pendingTimers, 0);
});

test("a peer's TTL is kept from its last word, and 0 ends it", async () => {
  const { clock, said, heartbeat } = makeHeartbeat();
  heartbeat.setTtl(1000);
  await clock.advance(900);
  heartbeat.heard();
  await clock.advance(900);
  heartbeat.heard();
  heartbeat.setTtl(2000);
  await clock.advance(1900);
  assert.deepEqual(said, []);
  await clock.advance(100);
  assert.deepEqual(said, ["gave up after 2000"]);

  const other = makeHeartbeat();
  other.heartbeat.setTtl(1000);
  other.heartbeat.setTtl(0);
  await other.clock.advance(10_000);
  assert.deepEqual([other.said, other.clock.pendingTimers], [[], 0]);
});

test("PINGs with a TTL cost one timer, however many come", () => {
  const { clock, heartbeat } = makeHeartbeat();
  for (let i = 0; i < 1000; i++) heartbeat.setTtl(100 + i);
  assert.equal(clock.pendingTimers, 1);
  heartbeat[Symbol.dispose]();
  assert.equal(clock.pendingTimers, 0);
});
