import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeKvEvents, encodeKvEvents, type KvEventData, type RouterEvent } from "../../src/protocol/kv_event.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { compact } from "../support/compact.ts";
import { pseudoRandom } from "../support/pseudo_random.ts";
import { toHex } from "../wire/transcript.ts";

const random = pseudoRandom(1);
/** Integers of every width. */
const u64 = () => random.u64() >> BigInt(random.below(64));

function data(): KvEventData {
  const kind = random.below(5);
  if (kind === 0) return "cleared";
  if (kind === 1) return { removed: { block_hashes: Array.from({ length: random.below(40) }, u64) } };
  return {
    stored: {
      parent_hash: random.below(2) === 0 ? null : u64(),
      start_position: random.below(2) === 0 ? null : random.below(1000),
      blocks: Array.from({ length: random.below(40) }, () => ({
        block_hash: u64(),
        tokens_hash: u64(),
        mm_extra_info: random.below(4) > 0 ? null : {
          mm_objects: Array.from({ length: random.below(3) }, () => ({
            mm_hash: u64(),
            offsets: Array.from({ length: random.below(3) }, () => [random.below(300), random.below(70000)] as const),
          })),
        },
      })),
    },
  };
}

function event(): RouterEvent {
  return {
    worker_id: u64(),
    storage_tier: (["device", "host_pinned", "disk", "external"] as const)[random.below(4)]!,
    ...(random.below(3) === 0 ? {} : { residency_domain: random.below(2) === 0 ? "worker" : "cache_owner" }),
    event: { event_id: u64(), data: data(), dp_rank: random.below(300) },
    ...(random.below(3) > 0 ? {} : { session_id: "s".repeat(random.below(300)) }),
  };
}

test("the specialised encoder writes what the general one writes, and both read back", () => {
  for (let round = 0; round < 200; round++) {
    const events = Array.from({ length: random.below(20) }, event);
    const bytes = encodeKvEvents(events);
    assert.equal(toHex(bytes), toHex(encodeMsgpack(compact(events))));
    assert.deepEqual(decodeKvEvents(bytes), events);
  }
});

const least = { worker_id: 1n, event: { event_id: 2n, data: "cleared" } };

test("what a router does without may be missing, and what it does not know is dropped", () => {
  const block = { block_hash: 3, tokens_hash: 2n ** 63n, later: true };
  const stored = { stored: { blocks: [block] } };
  const read = decodeKvEvents(encodeMsgpack([least, { ...least, later: 1, event: { ...least.event, data: stored } }]));
  assert.deepEqual(read[0], {
    worker_id: 1n,
    storage_tier: "device",
    event: { event_id: 2n, data: "cleared", dp_rank: 0 },
  });
  assert.deepEqual(read[1]!.event.data, {
    stored: {
      parent_hash: null,
      start_position: null,
      blocks: [{ block_hash: 3n, tokens_hash: 2n ** 63n, mm_extra_info: null }],
    },
  });
});

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["one event without a list", least, /`events` is not an array/],
  ["an event as an array", [[1n, "device"]], /`event` is not an object/],
  ["no worker", [{ event: least.event }], /missing field `worker_id`/],
  ["a negative worker", [{ ...least, worker_id: -1 }], /`worker_id` is not an unsigned 64-bit integer/],
  ["a fraction", [{ ...least, worker_id: 1.5 }], /`worker_id` is not an unsigned 64-bit integer/],
  ["an unknown tier", [{ ...least, storage_tier: "tape" }], /`storage_tier` is not one of device, host_pinned/],
  ["a domain of nil", [{ ...least, residency_domain: null }], /`residency_domain` is not one of worker/],
  ["no event", [{ worker_id: 1 }], /missing field `event.event`/],
  ["no id", [{ ...least, event: { data: "cleared" } }], /missing field `event_id`/],
  ["no data", [{ ...least, event: { event_id: 1 } }], /missing field `data`/],
  ["unknown data", [{ ...least, event: { event_id: 1, data: { moved: {} } } }], /none of stored, removed, cleared/],
  ["data twice", [{ ...least, event: { event_id: 1, data: { stored: {}, removed: {} } } }], /none of stored/],
  ["no blocks", [{ ...least, event: { event_id: 1, data: { stored: {} } } }], /missing field `blocks`/],
  [
    "a hash as text",
    [{ ...least, event: { event_id: 1, data: { removed: { block_hashes: ["1"] } } } }],
    /block_hashes/,
  ],
];

for (const [name, value, message] of refused) {
  test(`decodeKvEvents() refuses: ${name}`, () => {
    assert.throws(() => decodeKvEvents(encodeMsgpack(value)), (error) => {
      return error instanceof SyntaxError && message.test(error.message);
    });
  });
}

test("decodeKvEvents() refuses bytes that are no MessagePack", () => {
  assert.throws(() => decodeKvEvents(Uint8Array.of(0x92, 0xc0)), /Cannot read KV events: not MessagePack/);
});
