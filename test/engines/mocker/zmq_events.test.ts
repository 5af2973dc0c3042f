/** KV events on fixed ports: the peer's bytes, and what is kept for those who missed some. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvItem } from "@stator/worker";
import { decodeMsgpack } from "@stator/worker/protocol";
import { machineParts, openDealer, openSub, type SocketParts } from "@stator/worker/zmtp";
import { encodeVllmBatch } from "../../../engines/mocker/live/vllm_batch.ts";
import { ZmqEvents } from "../../../engines/mocker/live/zmq_events.ts";
import { settingsOf } from "../../../engines/mocker/live/option_values.ts";
import { resolveRows } from "../../../src/worker/command_line.ts";
import { module } from "@stator/worker/engines/mocker";
import { encodeReplayRequest, splitReplayFrames } from "../../../src/protocol/engine_batch.ts";
import { goldenText } from "../../support/golden.ts";
import { promptOf, startMockerRig } from "../../support/mocker_rig.ts";
import { freePort } from "../../support/processes.ts";
import { eventually } from "../../support/worker_rig.ts";
import { hex } from "../../support/zmtp_peer.ts";

interface Recorded {
  readonly payload_hex: string;
  // deno-lint-ignore no-explicit-any -- as recorded
  readonly decoded: any;
}

const RECORDED: readonly Recorded[] = goldenText("mocker/live/zmq_kv_events.jsonl").trim().split("\n")
  .map((line) => JSON.parse(line));
const OPTIONS = { blockSize: 16, dpRank: 0 };

for (const [number, { payload_hex, decoded: [, events, dpRank] }] of RECORDED.entries()) {
  test(`batch ${number} has the peer's bytes`, () => {
    // The time is blanked in the decoded form.
    const time = new DataView(
      Uint8Array.from(payload_hex.slice(4, 20).match(/../g)!, (two) => parseInt(two, 16)).buffer,
    );
    const items = events.map((event: Record<string, never>): KvItem => ({
      type: "stored",
      blockHashes: (event["block_hashes"]! as string[]).map(BigInt),
      parentHash: event["parent_block_hash"] === null ? null : BigInt(event["parent_block_hash"]!),
      tokenIds: Uint32Array.from(event["token_ids"]!),
    }));
    const bytes = encodeVllmBatch(items, time.getFloat64(0), { blockSize: 16, dpRank });
    assert.equal(hex(bytes!), payload_hex);
  });
}

test("removed blocks, large numbers and adapters are told; a cleared cache is not", () => {
  const stored: KvItem = {
    ...{ type: "stored", blockHashes: [5n], parentHash: 2n ** 64n - 1n, tokenIds: Uint32Array.of(0xffff_ffff) },
    ...{ loraName: "a".repeat(40), cacheNamespace: "tenant" },
  };
  const removed: KvItem = { type: "removed", blockHashes: [2n ** 63n, 1n] };
  const bytes = encodeVllmBatch([stored, { type: "cleared" }, removed], 1.5, { blockSize: 1, dpRank: 300 })!;
  assert.deepEqual(decodeMsgpack(bytes), [
    1.5,
    [
      {
        ...{ type: "BlockStored", block_hashes: [5], parent_block_hash: 2n ** 64n - 1n, token_ids: [0xffff_ffff] },
        ...{ block_size: 1, group_idx: 0, lora_name: "a".repeat(40), cache_salt: "tenant" },
      },
      { type: "BlockRemoved", block_hashes: [2n ** 63n, 1], group_idx: 0 },
    ],
    300,
  ]);
  assert.equal(encodeVllmBatch([{ type: "cleared" }], 0, OPTIONS), null);
});

const block = (hash: number): KvItem => ({
  ...{ type: "stored", blockHashes: [BigInt(hash)], parentHash: null, tokenIds: new Uint32Array(16) },
});

/** What a ROUTER answers, until its end. */
async function replayed(parts: SocketParts, port: number, from: bigint): Promise<bigint[]> {
  const got: bigint[] = [];
  const ended = Promise.withResolvers<void>();
  await using dealer = openDealer({
    ...parts,
    endpoint: `tcp://127.0.0.1:${port}`,
    onReady: () => {
      dealer.send([new Uint8Array(0), new Uint8Array(3)]);
      dealer.send(encodeReplayRequest(from));
    },
    onMessage: (frames) => {
      const message = splitReplayFrames(frames);
      if (message === null) ended.resolve();
      else got.push(message.sequence);
    },
  });
  await ended.promise;
  return got;
}

test("subscribers get numbered batches, and those who missed some get them again, up to the end", async () => {
  const parts = await machineParts();
  const [events, replay] = [await freePort(), await freePort()];
  await using zmq = await ZmqEvents.open({ events, replay }, { ...parts, ...OPTIONS });
  zmq.publishBatch([block(1)]);
  const got: string[] = [];
  await using sub = openSub({
    ...parts,
    topics: [""],
    onMessage: ([topic, sequence, payload]) =>
      void got.push([topic, sequence].map((part) => hex(part!)).join() + payload!.length),
  });
  sub.connect(`tcp://127.0.0.1:${events}`);
  await eventually("the subscription", () => {
    zmq.publishBatch([block(2)]);
    return got.length > 0;
  });
  assert.match(got[0]!, /^,00000000000000[0-9a-f]{2}\d+$/);
  const all = await replayed(parts, replay, 0n);
  assert.ok(all.length >= 2);
  assert.deepEqual(all, all.map((_, i) => BigInt(i)));
  assert.deepEqual(await replayed(parts, replay, BigInt(all.length - 1)), [BigInt(all.length - 1)]);
  assert.deepEqual(await replayed(parts, replay, 10_000n), []);
});

test("no more than ten thousand batches are kept", async () => {
  const parts = await machineParts();
  const [events, replay] = [await freePort(), await freePort()];
  await using zmq = await ZmqEvents.open({ events, replay }, { ...parts, ...OPTIONS });
  for (let i = 0; i < 10_003; i++) zmq.publishBatch([block(i)]);
  const all = await replayed(parts, replay, 0n);
  assert.deepEqual([all.length, all[0], all.at(-1)], [10_000, 3n, 10_002n]);
});

test("an engine with ports publishes there, and tells the worker to listen there", async () => {
  const [events, replay] = [await freePort(), await freePort()];
  const flags = ["--zmq-kv-events-ports", String(events), "--zmq-replay-ports", String(replay)];
  const rig = await startMockerRig("--block-size", "16", ...flags);
  const [endpoint, replayEndpoint] = [`tcp://127.0.0.1:${events}`, `tcp://127.0.0.1:${replay}`];
  assert.deepEqual(await rig.engine.kvEventSources?.(), [{ kind: "zmq", dpRank: 0, endpoint, replayEndpoint }]);
  await rig.ask(promptOf(1, 40), { stop_conditions: { max_tokens: 1 } });
  assert.deepEqual(await replayed(await machineParts(), replay, 0n), [0n]);
  await assert.rejects(startMockerRig(...flags), new RegExp(`:${events}`), "the port is taken");
  await rig.engine.cleanup();
  const again = await startMockerRig("--disaggregation-mode", "decode", ...flags);
  assert.deepEqual(await again.engine.kvEventSources?.(), [], "a decode worker tells nobody of its cache");
  await again.engine.cleanup();
});

test("a list has a port for each worker", async () => {
  const ports = async (given: object, place = { index: 0, count: 1 }) => {
    const { launch: { dynamo } } = await settingsOf(resolveRows(module.options, { ...given }, {}), place);
    return [dynamo.zmq_kv_events_port, dynamo.zmq_replay_port];
  };
  const second = { index: 1, count: 2 };
  assert.deepEqual(await ports({}), [null, null]);
  assert.deepEqual(await ports({ zmqKvEventsPorts: "5000, 6000", zmqReplayPorts: "7,8" }, second), [6000, 8]);
  const json = { extraEngineArgs: '{"dynamo":{"zmq_kv_events_port":5000}}' };
  assert.deepEqual(await ports(json), [5000, null]);
  assert.deepEqual(await ports({ ...json, zmqKvEventsPorts: "1" }), [1, null]);
  const meeting = async (given: object) =>
    (await settingsOf(resolveRows(module.options, { ...given }, {}), second)).launch.dynamo.bootstrap_port;
  assert.equal(await meeting({ bootstrapPorts: "7,0" }), 0);
  assert.equal(await meeting({ extraEngineArgs: '{"dynamo":{"bootstrap_port":0}}' }), 0);
  await assert.rejects(meeting({ bootstrapPorts: "7" }), /--bootstrap-ports needs one port for each of 2 workers/);
  await assert.rejects(ports(json, second), /dynamo.zmq_kv_events_port is one port, and there are 2 workers/);
  await assert.rejects(ports({ zmqKvEventsPorts: "5000" }, second), /one port for each of 2 workers.*not 1/);
  await assert.rejects(ports({ zmqReplayPorts: "5000" }), /--zmq-replay-ports needs --zmq-kv-events-ports/);
  for (const list of ["", "a", "0", "70000", "1,"]) {
    await assert.rejects(ports({ zmqKvEventsPorts: list }), /is no list of ports/, list);
  }
});
