import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeEnvelope,
  decodeZmqFrames,
  encodeEnvelope,
  encodeZmqFrames,
  EventSequence,
  publisherId,
  scopeSegments,
} from "../../src/protocol/event.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { compact } from "../support/compact.ts";
import { toHex } from "../wire/transcript.ts";

const envelope = {
  publisher_id: 2n ** 53n - 1n,
  sequence: 300n,
  published_at: 1795439624674n,
  topic: "kv-events",
  payload: new Uint8Array(70_000).fill(1),
};
const frames = encodeZmqFrames({ ...envelope, payload: Uint8Array.of(0x90) });

/** The frames with one of them replaced. */
function withFrame(at: number, frame: Uint8Array): Uint8Array[] {
  return frames.map((each, i) => i === at ? frame : each);
}

test("an envelope is what the general encoder writes", () => {
  assert.equal(toHex(encodeEnvelope(envelope)), toHex(encodeMsgpack(compact(envelope))));
  assert.deepEqual(decodeEnvelope(encodeEnvelope(envelope)), envelope);
});

const refused: readonly (readonly [string, readonly Uint8Array[], RegExp])[] = [
  ["three frames", frames.slice(0, 3), /3 ZMQ frames, not 4/],
  ["five frames", [...frames, new Uint8Array(1)], /5 ZMQ frames/],
  ["a short publisher", withFrame(1, new Uint8Array(7)), /too short/],
  ["a long sequence", withFrame(2, new Uint8Array(9)), /too short/],
  ["an empty envelope frame", withFrame(3, new Uint8Array(0)), /too short/],
  ["version 2", withFrame(3, Uint8Array.of(2, ...frames[3]!.subarray(1))), /version 2, not 1/],
  ["a cut envelope", withFrame(3, frames[3]!.subarray(0, -1)), /bytes of \d+ announced/],
  ["another publisher", withFrame(1, new Uint8Array(8)), /publisher is not the frame's/],
  ["another sequence", withFrame(2, new Uint8Array(8)), /sequence is not the frame's/],
];

for (const [name, each, message] of refused) {
  test(`decodeZmqFrames() refuses: ${name}`, () => {
    assert.throws(() => decodeZmqFrames(each), (error) => error instanceof SyntaxError && message.test(error.message));
  });
}

test("decodeEnvelope() refuses members that are missing or of another type", () => {
  const small = { ...envelope, payload: new Uint8Array(1) };
  for (const name of Object.keys(small)) {
    assert.throws(
      () => decodeEnvelope(encodeMsgpack({ ...small, [name]: undefined })),
      new RegExp(`field \`${name}\``),
    );
    assert.throws(() => decodeEnvelope(encodeMsgpack({ ...small, [name]: [1] })), new RegExp(`\`${name}\` is not`));
  }
  assert.throws(() => decodeEnvelope(Uint8Array.of(0xc1)), /not MessagePack/);
  assert.throws(() => decodeEnvelope(encodeMsgpack([1, 2])), /`envelope` is not an object/);
});

test("EventSequence counts from 0 and stamps whole milliseconds", () => {
  const sequence = new EventSequence(7n, "kv_metrics");
  const first = sequence.wrap(new Uint8Array(0), 1234.9);
  const second = sequence.wrap(new Uint8Array(0), 1235);
  assert.deepEqual([first.sequence, second.sequence, first.published_at], [0n, 1n, 1234n]);
  assert.deepEqual([first.publisher_id, first.topic], [7n, "kv_metrics"]);
  sequence.skip();
  assert.equal(sequence.wrap(new Uint8Array(0), 1235).sequence, 3n);
});

test("publisherId() keeps what a Number holds", () => {
  assert.equal(publisherId(2n ** 64n - 1n), BigInt(Number.MAX_SAFE_INTEGER));
});

test("scopeSegments() names each kind", () => {
  assert.deepEqual(scopeSegments({ kind: "namespace", name: "n" }), ["namespace", "n"]);
  const component = { kind: "component", namespace: "n", component: "c" } as const;
  assert.deepEqual(scopeSegments(component), ["namespace", "n", "component", "c"]);
});
