import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeItem } from "../../src/pipeline/encode.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { encodeTwoPart } from "../../src/protocol/frame.ts";
import { chunk, type GenerateChunk } from "../../src/protocol/output.ts";
import { encodeMsgpack, encodeText, stringifyJson } from "../../src/protocol/payload.ts";
import type { PayloadCodec } from "../../src/protocol/record.ts";
import { SendBuffer } from "../../src/protocol/send_buffer.ts";

const NONE = new Uint8Array(0);

function encoded(item: object, codec: PayloadCodec): Uint8Array {
  const buffer = new SendBuffer();
  buffer.append(Uint8Array.of(1, 2, 3)); // frames are written behind others
  encodeItem(buffer, item, codec);
  return buffer.take().slice(3);
}

/** The bytes of the general encoders. */
function general(data: unknown, codec: PayloadCodec): Uint8Array {
  const wrapper = { data, complete_final: false };
  return encodeTwoPart(NONE, codec === "msgpack" ? encodeMsgpack(wrapper) : encodeText(stringifyJson(wrapper)));
}

function fields(token_ids: readonly number[]): Record<string, unknown> {
  return {
    token_ids,
    tokens: null,
    text: null,
    output_type: "text",
    cum_log_probs: null,
    log_probs: null,
    top_logprobs: null,
    finish_reason: null,
    index: 0,
  };
}

const EDGES = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const LISTS: readonly (readonly number[])[] = [
  [],
  ...EDGES.map((id) => [id]),
  EDGES,
  ...[15, 16, 17, 300, 65_535, 65_536, 70_000].map((count) => Array.from({ length: count }, (_, i) => EDGES[i % 11]!)),
];

for (const codec of ["msgpack", "json"] as const) {
  test(`tokens alone are written byte for byte as the general ${codec} encoder would`, () => {
    for (const ids of LISTS) {
      const expected = general({ data: fields(ids) }, codec);
      for (const item of [chunk.tokens(ids), { token_ids: ids }, { token_ids: ids, text: null, finish_reason: null }]) {
        assert.ok(bytesEqual(encoded(item, codec), expected), `${ids.length} ids from ${ids[0]}`);
      }
    }
  });

  test(`typed arrays of tokens are ${codec} arrays`, () => {
    const ids = [1, 200, 70_000];
    assert.deepEqual(
      encoded(chunk.tokens(Uint32Array.from(ids) as unknown as number[]), codec),
      general({ data: fields(ids) }, codec),
    );
  });

  test(`further fields keep their place in ${codec}, and an error is an event`, () => {
    const item: GenerateChunk = {
      token_ids: [1],
      log_probs: [-0.5],
      finish_reason: "abort",
      stop_reason: 7,
      engine_data: { blocks: 2n ** 60n },
    };
    assert.deepEqual(encoded(item, codec), general({ data: withStop(item) }, codec));
    const error = new DynamoError("Cancelled", "enough");
    assert.deepEqual(encoded(error, codec), general({ event: "error", error: error.toWire() }, codec));
  });

  test(`what cannot be written as ${codec} throws and leaves the buffer as it was`, () => {
    const bad: unknown[] = [
      {},
      { token_ids: "1" },
      { token_ids: [0.5] },
      { token_ids: [-1] },
      { token_ids: [2 ** 32] },
      { token_ids: [NaN] },
      { token_ids: [1n] },
      { token_ids: [], finish_reason: "tool_calls" },
      { token_ids: [], finish_reason: 7 },
    ];
    for (const item of bad) {
      const buffer = new SendBuffer();
      buffer.append(Uint8Array.of(9));
      assert.throws(
        () => encodeItem(buffer, item as object, codec),
        (error) => error instanceof DynamoError && error.kind === "InvalidArgument" && error.publicMessage === null,
      );
      assert.deepEqual([...buffer.take()], [9]);
    }
  });
}

/** `stop_reason` stands before `index`, as the reference writes it. */
function withStop(item: GenerateChunk): Record<string, unknown> {
  const { index, ...before } = fields([...item.token_ids]);
  return {
    ...before,
    log_probs: item.log_probs,
    finish_reason: "cancelled",
    stop_reason: item.stop_reason,
    index,
    engine_data: item.engine_data,
  };
}

function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
