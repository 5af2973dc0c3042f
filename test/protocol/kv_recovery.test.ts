import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeRecoveryReply,
  encodeRecoveryReply,
  readRecoveryQuery,
  type RecoveryReply,
} from "../../src/protocol/kv_recovery.ts";
import { decodeText, encodeMsgpack } from "../../src/protocol/payload.ts";
import { compact } from "../support/compact.ts";
import { toHex } from "../wire/transcript.ts";

const event = {
  worker_id: 5n,
  storage_tier: "device",
  residency_domain: "worker",
  event: { event_id: 2n ** 40n, data: { removed: { block_hashes: [1n, 2n ** 63n] } }, dp_rank: 1 },
} as const;

const replies: readonly RecoveryReply[] = [
  { TreeDump: { events: [], last_event_id: 0n, reset_scope: "all" } },
  { Events: { events: [event, event], last_event_id: 2n ** 40n } },
  { TooNew: { requested_start: 9n, requested_end: null, newest_available: 4n } },
  { InvalidRange: { start_id: 9n, end_id: 2n } },
  { TreeDumpFailed: { last_event_id: 7n, message: "not now" } },
  { Error: "no such rank" },
];

for (const reply of replies) {
  const [name] = Object.keys(reply);
  test(`the reply ${name} is what the general encoder writes, and reads back`, () => {
    const bytes = encodeRecoveryReply(reply, "msgpack");
    assert.equal(toHex(bytes), toHex(encodeMsgpack(compact({ data: reply, complete_final: false }))));
    assert.deepEqual(decodeRecoveryReply(bytes), reply);
  });
}

test("the JSON codec keeps every digit", () => {
  const text = decodeText(encodeRecoveryReply({ InvalidRange: { start_id: 2n ** 64n - 1n, end_id: 1n } }, "json"));
  assert.equal(text, '{"data":{"InvalidRange":{"start_id":18446744073709551615,"end_id":1}},"complete_final":false}');
});

test("a query of an older router leaves things out; one for state agents is not recovery", () => {
  const query = readRecoveryQuery({ worker_id: 5, dp_rank: 1 });
  assert.deepEqual(query, {
    ...{ worker_id: 5n, dp_rank: 1, start_event_id: null, end_event_id: null },
    ...{ supports_tree_dump_failed: false, kind: "recovery" },
  });
  assert.equal(readRecoveryQuery({ worker_id: 5, dp_rank: 1, kind: { status: {} } }).kind, "other");
});

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["no map", 1, /`request` is not an object/],
  ["no worker", { dp_rank: 0 }, /missing field `worker_id`/],
  ["a rank that is too wide", { worker_id: 1, dp_rank: 2 ** 32 }, /`dp_rank` is not an unsigned 32-bit/],
  ["a start before 0", { worker_id: 1, dp_rank: 0, start_event_id: -1 }, /`start_event_id` is not/],
];

for (const [name, body, message] of refused) {
  test(`readRecoveryQuery() refuses: ${name}`, () => assert.throws(() => readRecoveryQuery(body), message));
}

test("decodeRecoveryReply() refuses a reply it does not know", () => {
  assert.throws(() => decodeRecoveryReply(encodeMsgpack({ data: { Later: {} } })), /`Later` is no answer/);
});
