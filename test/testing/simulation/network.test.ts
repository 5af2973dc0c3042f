/** What the simulated network does beyond the contract of `Net`, which `test/platform/net.test.ts` holds it to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conn, ConnHandlers } from "../../../src/platform/platform.ts";
import { realPlatform } from "../../../src/platform/real.ts";
import type { PipeQuality } from "../../../src/testing/simulation/connection.ts";
import { Network } from "../../../src/testing/simulation/network.ts";
import { SeededRandom } from "../../../src/testing/simulation/seeded_random.ts";
import { Timeline } from "../../../src/testing/simulation/timeline.ts";

class Side implements ConnHandlers {
  conn!: Conn;
  readonly pieces: number[] = [];
  readonly seen: string[] = [];
  get length(): number {
    return this.pieces.reduce((sum, length) => sum + length, 0);
  }
  data(bytes: Uint8Array): void {
    this.pieces.push(bytes.length);
  }
  end(): void {
    this.seen.push("end");
  }
  drain(): void {
    this.seen.push("drain");
  }
  closed(error?: Error): void {
    this.seen.push(`closed ${(error as { code?: string } | undefined)?.code ?? ""}`.trim());
  }
}

async function connect(quality: Partial<PipeQuality> = {}) {
  const timeline = new Timeline();
  const complete = { latencyMs: 10, jitter: 0, windowBytes: 1000, splitting: 0, ...quality };
  const network = new Network({ timeline, random: new SeededRandom(1), quality: () => complete });
  const [near, far] = [new Side(), new Side()];
  const { address } = await network.host("10.0.0.2").listen({ host: "10.0.0.2", port: 0 }, (conn) => {
    far.conn = conn;
    return far;
  });
  const pass = (ms: number) => timeline.run(realPlatform.clock, () => false, timeline.now + ms);
  const dialing = network.host("10.0.0.1").dial(address, near);
  await pass(100);
  near.conn = await dialing;
  return { timeline, network, near, far, pass, address };
}

test("bytes take their time, and come in pieces", async () => {
  const { timeline, near, far, pass } = await connect({ splitting: 1 });
  near.conn.write(new Uint8Array(900));
  const sentAt = timeline.now;
  await pass(9);
  assert.deepEqual(far.pieces, []);
  await pass(50);
  assert.ok(timeline.now - sentAt >= 10);
  assert.ok(far.pieces.length > 1);
  assert.equal(far.length, 900);
});

test("a window that is full holds bytes back until they are read", async () => {
  const { near, far, pass } = await connect();
  far.conn.setReading(false);
  assert.equal(near.conn.write(new Uint8Array(30_000)), false);
  await pass(1000);
  assert.equal(near.conn.pendingBytes, 29_000);
  far.conn.setReading(true);
  await pass(1000);
  assert.equal(near.conn.pendingBytes, 0);
  assert.deepEqual(near.seen, ["drain"]);
  assert.equal(far.length, 30_000);
});

test("a reset reaches both sides, over what is unread", async () => {
  const { network, near, far, pass } = await connect();
  near.conn.setReading(false);
  far.conn.write(new Uint8Array(10));
  await pass(20);
  network.reset(far.conn);
  await pass(20);
  assert.deepEqual(near.seen, ["closed ECONNRESET"]);
  assert.deepEqual(far.seen, ["closed ECONNRESET"]);
  assert.deepEqual(near.pieces, []);
});

test("whoever writes to a side that was dropped is reset", async () => {
  const { near, far, pass } = await connect();
  far.conn.destroy();
  await pass(20);
  assert.deepEqual(near.seen, ["end"]);
  near.conn.write(new Uint8Array(1));
  await pass(50);
  assert.deepEqual(near.seen, ["end", "closed ECONNRESET"]);
});

test("a host that is cut off is noticed late, and nothing passes", async () => {
  const { network, near, far, pass, address } = await connect();
  network.cutOff("10.0.0.2");
  near.conn.write(new Uint8Array(1));
  const dialing = network.host("10.0.0.1").dial(address, new Side()).then(() => "connected");
  await pass(1000);
  assert.deepEqual([near.seen, far.pieces], [[], []]);
  assert.equal(await Promise.race([dialing, Promise.resolve("nothing")]), "nothing");
  await pass(60_000);
  assert.deepEqual(near.seen, ["closed ETIMEDOUT"]);
});

test("a host that crashes resets its connections, and refuses new ones", async () => {
  const { network, near, pass, address } = await connect();
  assert.deepEqual([network.connectionsOf("10.0.0.2"), network.listenersOf("10.0.0.2")], [1, 1]);
  network.crash("10.0.0.2");
  const dialing = network.host("10.0.0.1").dial(address, new Side());
  const refused = assert.rejects(dialing, { code: "ECONNREFUSED" });
  await pass(100);
  await refused;
  assert.deepEqual(near.seen, ["closed ECONNRESET"]);
  assert.deepEqual([network.connectionsOf("10.0.0.2"), network.listenersOf("10.0.0.2")], [0, 0]);
  assert.equal(network.connectionsOf("10.0.0.1"), 0);
});
