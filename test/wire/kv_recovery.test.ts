import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalIndexer } from "../../src/kv/local_indexer.ts";
import {
  decodeRecoveryReply,
  encodeRecoveryQuery,
  encodeRecoveryReply,
  readRecoveryQuery,
} from "../../src/protocol/kv_recovery.ts";
import { decodeMsgpack } from "../../src/protocol/payload.ts";
import { golden } from "./kv_golden.ts";
import { fromHex, toHex } from "./transcript.ts";

const captures = golden<{ kind: string; hex: string }[]>("recovery_query");
const queries = captures.filter(({ kind }) => kind === "request_body_msgpack");
const replies = captures.filter(({ kind }) => kind === "response_frame_msgpack");

test("there are captures of both kinds", () => assert.deepEqual([queries.length, replies.length], [2, 2]));

for (const [i, { hex }] of queries.entries()) {
  test(`query ${i} is read and written byte for byte`, () => {
    const query = readRecoveryQuery(decodeMsgpack(fromHex(hex)));
    assert.equal(query.kind, "recovery");
    assert.equal(toHex(encodeRecoveryQuery(query)), hex);
  });
}

for (const [i, { hex }] of replies.entries()) {
  test(`reply ${i} is read and written byte for byte`, () => {
    assert.equal(toHex(encodeRecoveryReply(decodeRecoveryReply(fromHex(hex)), "msgpack")), hex);
  });

  test(`reply ${i} is what the indexer answers after the same events`, () => {
    const reply = decodeRecoveryReply(fromHex(hex));
    assert.ok("TreeDump" in reply);
    const [event] = reply.TreeDump.events;
    const indexer = new LocalIndexer(event!.worker_id, event!.event.dp_rank);
    indexer.apply(event!);
    const query = queries.map((each) => readRecoveryQuery(decodeMsgpack(fromHex(each.hex))))
      .find(({ worker_id }) => worker_id === event!.worker_id);
    assert.equal(toHex(encodeRecoveryReply(indexer.answer(query!), "msgpack")), hex);
  });
}
