import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeEnvelope,
  decodeZmqFrames,
  encodeEnvelope,
  encodeZmqFrames,
  eventSubject,
  KV_EVENTS_TOPIC,
  subjectPrefix,
} from "../../src/protocol/event.ts";
import { decodeKvEvents, encodeKvEvents } from "../../src/protocol/kv_event.ts";
import {
  decodeActiveSequences,
  decodeForwardPass,
  decodeKvMetrics,
  encodeActiveSequence,
  encodeActiveSequences,
  encodeForwardPass,
  encodeKvMetrics,
} from "../../src/protocol/load_event.ts";
import { eventCaptures, hexOf, natsCaptures } from "./kv_golden.ts";
import { toHex } from "./transcript.ts";

/** A payload decoded and encoded again. */
const AGAIN: Readonly<Record<string, (payload: Uint8Array, isBare: boolean) => Uint8Array>> = {
  [KV_EVENTS_TOPIC]: (payload) => encodeKvEvents(decodeKvEvents(payload)),
  "kv_metrics": (payload) => encodeKvMetrics(decodeKvMetrics(payload)),
  "forward-pass-metrics": (payload) => encodeForwardPass(decodeForwardPass(payload)),
  "active_sequences_events": (payload, isBare) => {
    const events = decodeActiveSequences(payload);
    return isBare ? encodeActiveSequence(events[0]!) : encodeActiveSequences(events);
  },
};

const captures = [...eventCaptures("zmq_direct_frames"), ...eventCaptures("event_plane_messages")];

for (const [i, { label, topic, frames }] of captures.entries()) {
  test(`ZMQ message ${i}, ${label}, is read and written byte for byte`, () => {
    const { subject, envelope } = decodeZmqFrames(frames);
    assert.equal(subject, topic);
    assert.equal(envelope.topic, topic);
    assert.deepEqual(hexOf(encodeZmqFrames(envelope)), hexOf(frames));
    assert.equal(toHex(AGAIN[topic]!(envelope.payload, false)), toHex(envelope.payload));
  });
}

for (const [i, { subject, payload }] of natsCaptures().entries()) {
  test(`NATS message ${i} on ${subject} is read and written byte for byte`, () => {
    const envelope = decodeEnvelope(payload);
    assert.equal(toHex(encodeEnvelope(envelope)), toHex(payload));
    assert.equal(toHex(AGAIN[envelope.topic]!(envelope.payload, true)), toHex(envelope.payload));
    const endpoint = { namespace: "dynamo", component: "backend", name: "generate" };
    assert.equal(eventSubject({ kind: "endpoint", endpoint }, envelope.topic), subject);
  });
}

test("a broker's first frame is the subject, and the envelope keeps the topic", () => {
  const { envelope } = decodeZmqFrames(captures[0]!.frames);
  const scope = { kind: "component", namespace: "my ns", component: "a.b" } as const;
  const subject = eventSubject(scope, envelope.topic);
  assert.equal(subject, `namespace.my%20ns.component.a%2Eb.${envelope.topic}`);
  assert.equal(subjectPrefix({ kind: "namespace", name: "é_-" }), "namespace.%C3%A9_-");
  const read = decodeZmqFrames(encodeZmqFrames(envelope, subject));
  assert.deepEqual([read.subject, read.envelope.topic], [subject, envelope.topic]);
});
