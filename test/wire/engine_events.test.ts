import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineEventTranslator, type FilterReason } from "../../src/kv/engine_events.ts";
import { KvEventLog } from "../../src/kv/event_log.ts";
import { decodeEngineBatch, splitEngineFrames } from "../../src/protocol/engine_batch.ts";
import { decodeZmqFrames, encodeZmqFrames, EventSequence } from "../../src/protocol/event.ts";
import { engineCaptures, eventCaptures, hexOf } from "./kv_golden.ts";

/** Inputs after which a stock worker published nothing, and why. */
const SILENT: Readonly<Record<string, FilterReason | "unusable" | RegExp>> = {
  map_stored_unknown_medium: "unknown_medium",
  map_stored_remote: "non_local_locality",
  map_stored_sliding_window: "non_main_attention_kind",
  bytes_hash_rejected: /block hash is no 64-bit integer/,
  self_ref_dropped: "unusable",
  dp_rank_omitted_two_element_batch: /a batch of 2 members, not 3/,
};

const published = eventCaptures("event_plane_messages").filter(({ label }) => label.startsWith("zmq_"));
const { envelope: first } = decodeZmqFrames(published[0]!.frames);
// One listener took all inputs in turn, so they share ids, sequence and what was learned.
const translator = new EngineEventTranslator({ blockSize: 4 });
const log = new KvEventLog(1111n);
const sequence = new EventSequence(first.publisher_id, first.topic);

for (const { label, frames } of engineCaptures()) {
  test(`a stock worker publishes the same after ${label}`, () => {
    const { batch } = splitEngineFrames(frames);
    const silent = SILENT[label];
    if (silent instanceof RegExp) {
      assert.throws(() => decodeEngineBatch(batch), silent);
      return;
    }
    const translations = translator.translate(decodeEngineBatch(batch));
    assert.deepEqual(
      translations.flatMap((each) => "filtered" in each ? [each.filtered] : "unusable" in each ? ["unusable"] : []),
      silent ? [silent] : [],
    );
    const payloads = log.append(translations.flatMap((each) => "change" in each ? [each.change] : []));
    const expected = published.filter((each) => each.label === `zmq_${label}`);
    assert.equal(expected.length, silent ? 0 : 1);
    for (const [i, payload] of payloads.entries()) {
      const at = Number(decodeZmqFrames(expected[i]!.frames).envelope.published_at);
      assert.deepEqual(hexOf(encodeZmqFrames(sequence.wrap(payload, at))), hexOf(expected[i]!.frames));
    }
    assert.equal(payloads.length, expected.length);
  });
}
