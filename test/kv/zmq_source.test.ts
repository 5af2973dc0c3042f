import assert from "node:assert/strict";
import { test } from "node:test";
import { KvEventLog } from "../../src/kv/event_log.ts";
import { openZmqSource } from "../../src/kv/zmq_source.ts";
import { createLog } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { decodeKvEvents } from "../../src/protocol/kv_event.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { encodeMessage } from "../../src/zmtp/frame.ts";
import { encodeGreeting } from "../../src/zmtp/greeting.ts";
import { greet, hex, makeRig, readAfterGreeting, ready, unhex } from "../support/zmtp_peer.ts";

const NAME = { namespace: "dynamo", component: "sample", endpoint: "generate" };
const PUB = "tcp://10.0.0.9:5557";
const ROUTER = "tcp://10.0.0.9:5558";
const NOTHING = new Uint8Array(0);

async function rig(source: { endpoint: string; topic?: string; replayEndpoint?: string }) {
  const { clock, net, options: { random } } = makeRig();
  const names: string[] = [];
  const lines: string[] = [];
  const metrics = createMetrics({ instanceId: 7n, now: () => 0 });
  const opened = await openZmqSource({
    ...{ dpRank: 0, blockSize: 4, events: new KvEventLog(7n), metrics: metrics.kvEvents(NAME) },
    ...{ world: { net, clock, random }, source: { kind: "zmq", ...source } },
    send: (payload) => {
      for (const { event: { data } } of decodeKvEvents(payload)) {
        if (data === "cleared") names.push(data);
        else if ("stored" in data) names.push(...data.stored.blocks.map(({ block_hash }) => String(block_hash)));
      }
    },
    log: createLog({ wallTime: () => 0, write: (line) => void lines.push(line) }),
  });
  await clock.settle();
  return { clock, net, names, lines, metrics, opened };
}

const sequence = (number: number): Uint8Array => unhex(number.toString(16).padStart(16, "0"));
/** A batch that stores one block, and its number. */
const stores = (number: number, name: number): Uint8Array[] => [
  sequence(number),
  encodeMsgpack([0, [{
    ...{ type: "BlockStored", block_hashes: [name], parent_block_hash: null, token_ids: [1, 2, 3, 4], block_size: 4 },
  }], 0]),
];
const live = (number: number, name: number): Uint8Array => encodeMessage([NOTHING, ...stores(number, name)]);
const replayed = (number: number, name: number): Uint8Array => encodeMessage([NOTHING, ...stores(number, name)]);

test("a source dials the engine, subscribes to its topic, and dials again", async () => {
  const { clock, net, names, lines, opened } = await rig({ endpoint: PUB, topic: "kv" });
  const conn = net.dialled[0]!;
  await greet(clock, conn, "PUB");
  conn.say(encodeMessage([new TextEncoder().encode("kv-1"), ...stores(0, 1)]));
  conn.say(encodeMessage([new TextEncoder().encode("other"), ...stores(1, 2)]));
  conn.hangUp();
  await clock.advance(100);
  await greet(clock, net.dialled[1]!, "PUB");
  net.dialled[1]!.say(encodeMessage([new TextEncoder().encode("kv-1"), ...stores(1, 3)]));
  assert.deepEqual(names, ["1", "3"]);
  assert.deepEqual(lines.map((line) => / (INFO|WARN) (\w+ \w*)/.exec(line)?.slice(1)), [
    ["INFO", "Connected to"],
    ["WARN", "No connection"],
    ["INFO", "Connected to"],
  ]);
  const closing = opened[Symbol.asyncDispose]();
  net.dialled[1]!.hangUp();
  await closing;
  assert.equal(clock.pendingTimers, 0);
});

test("an engine that is not there is warned of once", async () => {
  const { net, lines, clock, opened } = await rig({ endpoint: PUB });
  net.dialled[0]!.hangUp(new Error("refused"));
  for (let i = 0; i < 3; i++) {
    await clock.advance(10_000);
    net.dialled.at(-1)!.hangUp(new Error("refused"));
  }
  await clock.settle();
  assert.equal(lines.length, 1);
  await opened[Symbol.asyncDispose]();
});

test("a source listens for an engine that connects, if the host is *", async () => {
  const { clock, net, names, opened } = await rig({ endpoint: "tcp://*:5557" });
  assert.deepEqual([net.listeners, net.dials], [[{ host: "0.0.0.0", port: 5557 }], []]);
  const conn = net.accept();
  await greet(clock, conn, "PUB");
  conn.say(live(0, 1));
  assert.deepEqual(names, ["1"]);
  const closing = opened[Symbol.asyncDispose]();
  conn.hangUp();
  await closing;
  assert.deepEqual([net.listeners, clock.pendingTimers], [[], 0]);
});

test("missed batches are asked for at the replay socket, and published in order", async () => {
  const { clock, net, names, opened } = await rig({ endpoint: PUB, replayEndpoint: ROUTER });
  const [pub, router] = [net.dialled[0]!, net.dialled[1]!];
  assert.deepEqual(net.dials.map(({ port }) => port), [5557, 5558]);
  await greet(clock, pub, "PUB");
  await greet(clock, router, "ROUTER");
  router.say(encodeMessage([NOTHING, unhex("ffffffffffffffff"), NOTHING]));
  router.take();
  pub.say(live(0, 1), live(3, 4));
  await clock.settle();
  assert.equal(hex(router.take()).slice(-20), `0008${hex(sequence(1))}`);
  router.say(replayed(1, 2), replayed(2, 3), replayed(3, 4));
  assert.deepEqual(names, ["1", "2", "3", "4"]);
  router.say(encodeMessage([NOTHING, NOTHING, unhex("ffffffffffffffff"), NOTHING]));
  pub.say(live(4, 5), live(0, 9));
  assert.deepEqual(names.slice(4), ["5", "cleared", "9"]);
  const closing = opened[Symbol.asyncDispose]();
  for (const conn of net.dialled) conn.hangUp();
  await closing;
  assert.equal(clock.pendingTimers, 0);
});

test("the replay socket is asked for what came before us as soon as it is there", async () => {
  const { clock, net } = await rig({ endpoint: PUB, replayEndpoint: ROUTER });
  const router = net.dialled[1]!;
  router.say(encodeGreeting({ major: 3, minor: 1, mechanism: "NULL" }), ready("ROUTER"));
  await clock.settle();
  assert.deepEqual(readAfterGreeting(router.take()), ["READY", "+", "\0".repeat(8)]);
});

test("messages of another shape are counted and cut no connection", async () => {
  const { clock, net, names, lines, metrics } = await rig({ endpoint: PUB });
  const conn = net.dialled[0]!;
  await greet(clock, conn, "PUB");
  conn.say(encodeMessage([NOTHING, NOTHING]), encodeMessage([NOTHING, unhex("00"), NOTHING]), live(0, 1));
  assert.deepEqual([names, conn.isClosed], [["1"], false]);
  metrics.endpoint(NAME);
  assert.match(await metrics.text(), /stator_kv_engine_batches_dropped_total\{[^}]*reason="unreadable"[^}]*\} 2\n/);
  assert.match(lines.at(-1)!, /cannot be read.*2 ZMQ frames, not 3/);
});

for (
  const source of [{ endpoint: "5557" }, { endpoint: "tcp://h:*" }, { endpoint: PUB, replayEndpoint: "tcp://*:1" }]
) {
  test(`a source cannot be opened on ${Object.values(source).join(" and ")}`, async () => {
    await assert.rejects(rig(source), { name: "SyntaxError", message: /^Cannot/ });
  });
}
