import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeActiveSequences, decodeForwardPass, decodeKvMetrics } from "../../src/protocol/load_event.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";

const metrics = { worker_id: 1, dp_rank: 0, kv_used_blocks: 3 };
const sequence = {
  ...{ request_id: "r", worker: { worker_id: 1, dp_rank: 0 } },
  ...{ data: "MarkPrefillCompleted", router_id: 1 },
};

test("unset members of a load are null", () => {
  assert.deepEqual(decodeKvMetrics(encodeMsgpack(metrics)), {
    ...{ worker_id: 1n, dp_rank: 0, active_decode_blocks: null, active_prefill_tokens: null, kv_used_blocks: 3n },
  });
});

const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
  ["a list", () => decodeKvMetrics(encodeMsgpack([metrics])), /`payload` is not an object/],
  ["no MessagePack", () => decodeKvMetrics(Uint8Array.of(0xc1)), /Cannot read load event: not MessagePack/],
  ["a load without worker", () => decodeKvMetrics(encodeMsgpack({ dp_rank: 0 })), /missing field `worker_id`/],
  ["half a block", () => decodeKvMetrics(encodeMsgpack({ ...metrics, kv_used_blocks: 0.5 })), /`kv_used_blocks`/],
  ["a change of routers", () => decodeActiveSequences(encodeMsgpack({ ...sequence, data: "Free" })), /`data` is not/],
  ["no worker", () => decodeActiveSequences(encodeMsgpack({ events: [{ request_id: "r" }] })), /field `worker`/],
  ["events as a map", () => decodeActiveSequences(encodeMsgpack({ events: {} })), /`events` is not an array/],
  ["another version", () => decodeForwardPass(encodeMsgpack({ version: 2 })), /version 2 of forward-pass metrics/],
  [
    "a pass without requests",
    () => decodeForwardPass(encodeMsgpack({ version: 1, worker_id: "1", dp_rank: 0, counter_id: 1, wall_time: 0 })),
    /missing field `scheduled_requests`/,
  ],
];

for (const [name, read, message] of refused) {
  test(`load events are refused: ${name}`, () => {
    assert.throws(read, (error) => error instanceof SyntaxError && message.test(error.message));
  });
}
