import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeEventChannel,
  decodeEventSource,
  encodeEventChannel,
  type EventChannelRecord,
  eventSourceKey,
} from "../../src/protocol/event_record.ts";

const scope = { kind: "endpoint", endpoint: { namespace: "n", component: "c", name: "e" } };
const channel = { type: "EventChannel", scope, topic: "t", instance_id: 7 };
const zmq = { kind: "Zmq", config: { endpoint: "tcp://127.0.0.1:1" } };
const metadata = { kv_state_endpoint: scope.endpoint, worker: { worker_id: 3, dp_rank: 0 }, publisher_id: 7 };
const source = { type: "EventSource", scope, topic: "t", publisher_id: 7, metadata };

test("channels of every scope and transport read back", () => {
  const scopes = [
    { kind: "namespace", name: "n" },
    { kind: "component", namespace: "n", component: "c" },
  ] as const;
  const transports = [
    { kind: "Zmq", config: { endpoint: "tcp://[::1]:5" } },
    { kind: "Nats", config: { subject_prefix: "namespace.n" } },
    { kind: "ZmqBroker", config: { xsub_endpoints: ["tcp://a:1", "tcp://b:1"], xpub_endpoints: ["tcp://a:2"] } },
  ] as const;
  for (const each of scopes) {
    for (const transport of transports) {
      const record: EventChannelRecord = { scope: each, topic: "kv-events", instance_id: 2n ** 53n - 1n, transport };
      assert.deepEqual(decodeEventChannel(encodeEventChannel(record)), record);
    }
  }
});

test("small ids are bigint too, and unknown fields are dropped", () => {
  const record = decodeEventSource(JSON.stringify({ ...source, later: 1 }));
  assert.deepEqual([record.publisher_id, record.metadata.worker.worker_id], [7n, 3n]);
  assert.ok(!("later" in record));
});

test("names in keys are escaped, each for itself", () => {
  const { bucket, path } = eventSourceKey({ kind: "component", namespace: "a/b", component: "ü" }, "kv-events", 255n);
  assert.deepEqual([bucket, path], ["v1/event_sources", "namespace/a%2Fb/component/%C3%BC/topic/kv-events/ff"]);
});

const refused: readonly (readonly [string, (text: string) => unknown, unknown, RegExp])[] = [
  ["another type", decodeEventChannel, source, /type "EventSource" is not `EventChannel`/],
  ["no transport", decodeEventChannel, channel, /missing field `transport`/],
  ["an unknown kind", decodeEventChannel, { ...channel, transport: { kind: "Tcp" } }, /`transport.kind` is not one of/],
  ["no endpoint", decodeEventChannel, { ...channel, transport: { ...zmq, config: {} } }, /transport.config.endpoint/],
  ["an unknown scope", decodeEventChannel, { ...channel, transport: zmq, scope: { kind: "all" } }, /`scope.kind`/],
  ["an id as text", decodeEventChannel, { ...channel, transport: zmq, instance_id: "7" }, /`instance_id` is not/],
  ["a fraction as id", decodeEventChannel, { ...channel, transport: zmq, instance_id: 7.5 }, /`instance_id` is not/],
  ["no metadata", decodeEventSource, { ...source, metadata: undefined }, /missing field `metadata`/],
  ["no worker", decodeEventSource, { ...source, metadata: { ...metadata, worker: undefined } }, /metadata.worker/],
  [
    "a target that is no record",
    decodeEventSource,
    { ...source, metadata: { ...metadata, recovery_target: { namespace: "n" } } },
    /missing field `component`/,
  ],
];

for (const [name, decode, value, message] of refused) {
  test(`event records are refused: ${name}`, () => {
    assert.throws(() => decode(JSON.stringify(value)), (error) => {
      return error instanceof SyntaxError && message.test(error.message);
    });
  });
}
