import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFileName } from "../../src/discovery/file_name.ts";
import { subjectPrefix } from "../../src/protocol/event.ts";
import {
  decodeEventChannel,
  decodeEventSource,
  encodeEventChannel,
  encodeEventSource,
  eventChannelKey,
  eventSourceKey,
} from "../../src/protocol/event_record.ts";
import { recoveryEndpointName } from "../../src/protocol/kv_recovery.ts";
import type { DiscoveryKey } from "../../src/protocol/record.ts";
import { goldenEntries } from "../support/golden.ts";
import { golden } from "./kv_golden.ts";

/** Reads a record, holds it to its text, and returns its key. */
function roundTrip(text: string): DiscoveryKey {
  if (JSON.parse(text).type === "EventChannel") {
    const record = decodeEventChannel(text);
    assert.equal(encodeEventChannel(record), text);
    if (record.transport.kind === "Nats") {
      assert.equal(record.transport.config.subject_prefix, subjectPrefix(record.scope));
    }
    return eventChannelKey(record.scope, record.topic, record.instance_id);
  }
  const record = decodeEventSource(text);
  assert.equal(encodeEventSource(record), text);
  const target = record.metadata.recovery_target;
  if (target !== undefined) assert.equal(target.endpoint, recoveryEndpointName(record.publisher_id));
  return eventSourceKey(record.scope, record.topic, record.publisher_id);
}

const { zmq_direct, nats } = golden<Record<"zmq_direct" | "nats", { file: string; raw: string }[]>>(
  "discovery_records",
);

for (const { file, raw } of [...zmq_direct, ...nats]) {
  test(`event record ${file}`, () => {
    const { bucket, path } = roundTrip(raw);
    if (file.startsWith("v1/")) assert.equal(`${bucket}/${encodeFileName(path)}`, file);
  });
}

for (const { capture, bucket, key, value } of goldenEntries()) {
  if (bucket !== "v1/event_channels" && bucket !== "v1/event_sources") continue;
  test(`event record of ${capture}: ${key}`, () => {
    assert.deepEqual(roundTrip(value), { bucket, path: key });
  });
}
