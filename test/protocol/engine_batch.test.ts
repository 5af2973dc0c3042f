import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeEngineBatch,
  encodeReplayRequest,
  type EngineEvent,
  splitEngineFrames,
  splitReplayFrames,
} from "../../src/protocol/engine_batch.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { toHex } from "../wire/transcript.ts";

/** The one event of a batch. */
function read(event: unknown): EngineEvent {
  return decodeEngineBatch(encodeMsgpack([1.5, [event], 0])).events[0]!;
}

const map = { type: "BlockStored", block_hashes: [1], parent_block_hash: null, token_ids: [1, 2], block_size: 2 };
const array = ["BlockStored", [1], null, [1, 2], 2];
const info = { mm_objects: [{ mm_hash: 5, offsets: [[0, 1]] }] };

test("an event as an array is the same as one as a map", () => {
  const place = { medium: "GPU", group_idx: 3, kv_cache_spec_kind: "x", locality: "LOCAL", ownership: "framework" };
  const whole = { ...map, lora_name: "a", extra_keys: [null], ...place, kv_cache_spec_sliding_window: 7 };
  const items = [...array, null, "GPU", "a", [null], 3, "x", 7, "LOCAL", "framework"];
  assert.deepEqual(read(items), read(whole));
  assert.deepEqual(read(array), read(map));
  assert.deepEqual(
    read(["BlockRemoved", [-1], "CPU", 3, "x", 7, "LOCAL", "kvcr", "later"]),
    read({ ...place, type: "BlockRemoved", block_hashes: [-1], medium: "CPU", ownership: "kvcr" }),
  );
  assert.deepEqual(read(["AllBlocksCleared", "kvcr"]), { type: "AllBlocksCleared", ownership: "kvcr" });
});

test("older arrays carry their extras without order", () => {
  const event = read([...array, null, "GPU", { cache_salt: "s" }, null, [info], { session_id: "x" }]);
  assert.ok(event.type === "BlockStored");
  assert.deepEqual([event.cache_salt, event.session_id, event.group_idx], ["s", "x", null]);
  assert.deepEqual(event.block_mm_infos, [{ mm_objects: [{ mm_hash: 5n, offsets: [[0, 1]] }] }]);
});

test("extra keys: images as text or as pair, the salt of the first block, the rest is left out", () => {
  const hash = "0123456789abcdef" + "0".repeat(48);
  const extra_keys = [["dynamo-cache-salt:a:b", 7], null, [[hash, 4], hash, "f".repeat(64), ["x"]]];
  const event = read({ ...map, extra_keys });
  assert.ok(event.type === "BlockStored");
  const object = { mm_hash: 0x0123456789abcdefn, offsets: [] };
  assert.deepEqual([event.cache_salt, event.block_mm_infos], ["a:b", [null, null, { mm_objects: [object, object] }]]);
});

test("hashes are taken as unsigned, whatever their sign and width", () => {
  const event = read({ ...map, block_hashes: [-1, 0, -(2n ** 63n), 2n ** 64n - 1n], parent_block_hash: -2 });
  assert.ok(event.type === "BlockStored");
  assert.deepEqual(event.block_hashes, [2n ** 64n - 1n, 0n, 2n ** 63n, 2n ** 64n - 1n]);
  assert.equal(event.parent_block_hash, 2n ** 64n - 2n);
});

test("an event of an unknown kind is ignored", () => {
  assert.deepEqual([read(["BlockMoved", 1]), read({ type: "Ignored" })], [{ type: "Ignored" }, { type: "Ignored" }]);
});

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["no list", { ts: 1 }, /`batch` is not an array/],
  ["two members", [1, []], /a batch of 2 members, not 3/],
  ["four members", [1, [], 0, 0], /a batch of 4 members/],
  ["a time as text", ["1", [], 0], /`ts` is not a number/],
  ["a rank below 0", [1, [], -1], /`data_parallel_rank` is not an unsigned/],
  ["an event as text", [1, ["BlockStored"], 0], /`event` is not an object/],
  ["an event without a tag", [1, [[]], 0], /missing field `type`/],
  ["a tag that is no text", [1, [{ type: 1 }], 0], /`type` is not a string/],
  ["no hashes", [1, [{ type: "BlockRemoved" }], 0], /missing field `block_hashes`/],
  ["hashes as bytes", [1, [{ ...map, block_hashes: [new Uint8Array(32)] }], 0], /no 64-bit integer/],
  ["no tokens", [1, [array.slice(0, 3)], 0], /missing field `token_ids`/],
  ["a token below 0", [1, [{ ...map, token_ids: [-1] }], 0], /`token_ids\[\]` is not an unsigned/],
  ["a trigram", [1, [{ ...map, token_ids: [[1, 2, 3]] }], 0], /a bigram of 3 tokens/],
  ["bigrams mixed with tokens", [1, [{ ...map, token_ids: [[1, 2], 3] }], 0], /`token_ids\[\]` is not an array/],
  ["a medium that is a number", [1, [{ ...map, medium: 1 }], 0], /`medium` is not a string/],
  ["extra keys as text", [1, [{ ...map, extra_keys: "k" }], 0], /`extra_keys` is not an array/],
];

for (const [name, batch, message] of refused) {
  test(`decodeEngineBatch() refuses: ${name}`, () => {
    assert.throws(() => decodeEngineBatch(encodeMsgpack(batch)), (error) => {
      return error instanceof SyntaxError && message.test(error.message);
    });
  });
}

test("decodeEngineBatch() refuses bytes that are no MessagePack", () => {
  assert.throws(() => decodeEngineBatch(new Uint8Array(0)), /Cannot read engine KV events: not MessagePack/);
});

test("frames of live messages and of replays", () => {
  const [empty, sequence] = encodeReplayRequest(258n);
  assert.deepEqual([empty!.length, toHex(sequence!)], [0, "0000000000000102"]);
  const batch = Uint8Array.of(1);
  assert.deepEqual(splitEngineFrames([empty!, sequence!, batch]), { sequence: 258n, batch });
  assert.deepEqual(splitReplayFrames([empty!, sequence!, batch]), { sequence: 258n, batch });
  assert.deepEqual(splitReplayFrames([empty!, empty!, sequence!, batch]), { sequence: 258n, batch });
  assert.equal(splitReplayFrames([empty!, new Uint8Array(8).fill(0xff), empty!]), null);
  assert.throws(() => splitEngineFrames([sequence!, batch]), /2 ZMQ frames, not 3/);
  assert.throws(() => splitEngineFrames([empty!, batch, batch]), /sequence of 1 bytes, not 8/);
  assert.throws(() => splitReplayFrames([sequence!, batch]), /2 ZMQ frames of a replay/);
});
