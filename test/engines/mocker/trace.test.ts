import assert from "node:assert/strict";
import { test } from "node:test";
import { readTrace } from "../../../engines/mocker/replay/trace.ts";
import { TraceSequence } from "../../../engines/mocker/replay/trace_sequence.ts";
import { Workload } from "../../../engines/mocker/replay/workload.ts";

const line = (fields: Record<string, unknown>) =>
  JSON.stringify({ input_length: 4, output_length: 2, hash_ids: [1], ...fields });

test("readTrace() numbers blocks by appearance, knows both spellings and begins at 0", () => {
  const { rows } = readTrace(
    [line({ timestamp: 70, hash_ids: [9, 8] }), "", '{"created_time":50,"output_tokens":3,"hash_ids":[8,7]}'].join(
      "\n",
    ),
    4,
  );
  assert.deepEqual(rows.map(({ arrivalMs, inputTokens, outputTokens }) => [arrivalMs, inputTokens, outputTokens]), [
    [20, 4, 2],
    [0, 8, 3],
  ]);
  assert.deepEqual(rows.map(({ blocks }) => [...blocks]), [[0, 1], [1, 2]]);
});

test("readTrace() tells block names apart that a double does not", () => {
  const { rows } = readTrace(
    '{"output_length":1,"hash_ids":[9007199254740993, 9007199254740992, 9007199254740993]}',
    4,
  );
  assert.deepEqual([...rows[0]!.blocks], [0, 1, 0]);
});

for (
  const [text, complaint] of [
    ["{", /line 1 .* is no JSON/],
    ["[]", /line 1 .* no JSON object/],
    ['{"output_length":1}', /missing hash_ids/],
    ['{"hash_ids":[1]}', /missing output_length/],
    [line({ input_length: 5 }), /input_length 5 exceeds hash_ids capacity 4/],
    [line({ input_length: 1.5 }), /input_length 1\.5/],
    [line({ output_token_ids: [1] }), /output_length 2 does not match output_token_ids length 1/],
    [line({ delay: 5 }), /delay on the first turn/],
    [
      `${line({ session_id: "a", timestamp: 9 })}\n${line({ session_id: "a", timestamp: 3 })}`,
      /line 2 .* invalid delay -6/,
    ],
    ["\n", /no requests/],
  ] as const
) {
  test(`readTrace() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => readTrace(text, 4), complaint);
  });
}

test("a Workload lets turns follow each other and keeps to the number in flight", () => {
  const text = [line({ session_id: "a", timestamp: 5 }), line({ session_id: "a", delay: 30 }), line({ timestamp: 5 })];
  const trace = readTrace(text.join("\n"), 4);
  const timed = new Workload(trace, { arrivalSpeedup: 2 });
  assert.deepEqual([timed.take(0)?.row.index, timed.take(0)?.row.index, timed.take(0)], [0, 2, undefined]);
  timed.end(trace.rows[0]!, 100, false);
  assert.deepEqual([timed.nextMs, timed.isDone], [115, false]);

  const closed = new Workload(trace, { concurrency: 1 });
  assert.deepEqual([closed.take(0)?.row.index, closed.take(0)], [0, undefined]);
  closed.end(trace.rows[0]!, 10, false);
  assert.equal(closed.take(40)?.row.index, 1);
  closed.end(trace.rows[1]!, 50, false);
  assert.equal(closed.take(50)?.row.index, 2);
  closed.end(trace.rows[2]!, 60, false);
  assert.equal(closed.isDone, true);

  const failing = new Workload(trace);
  failing.take(0);
  failing.take(0);
  failing.end(trace.rows[0]!, 10, true);
  assert.deepEqual([failing.nextMs, failing.isDone], [Infinity, false]);
  failing.end(trace.rows[2]!, 10, false);
  assert.equal(failing.isDone, true);
  assert.throws(() => new Workload(trace, { concurrency: 0 }), RangeError);
  assert.throws(() => new Workload(trace, { arrivalSpeedup: 0 }), RangeError);
});

test("sequences agree exactly where their tokens do, whatever the block size", () => {
  const sequence = (blocks: number[], blockSize: number, nonce = 1, outputTokenIds?: number[]) => {
    const tokens = { blocks: Uint32Array.from(blocks), traceBlockSize: 4, promptTokens: 4 * blocks.length };
    const made = new TraceSequence({ ...tokens, maxOutputTokens: 8, outputTokenIds, nonce }, blockSize);
    made.hashThrough(Math.floor((tokens.promptTokens + 8) / blockSize));
    return [...new BigUint64Array(made.hashes.buffer)];
  };
  const common = (a: bigint[], b: bigint[]) => a.findIndex((hash, i) => hash !== b[i]);
  assert.equal(common(sequence([1, 2, 3], 4), sequence([1, 2, 5], 4)), 2);
  assert.equal(common(sequence([1, 2, 3], 2), sequence([1, 2, 5], 2)), 4);
  assert.equal(common(sequence([1, 2, 3], 3), sequence([1, 2, 5], 3)), 2);
  // Answers differ from request to request unless they are planned.
  assert.equal(common(sequence([1], 4, 1), sequence([1], 4, 2)), 1);
  const planned = [7, 7, 7, 7, 8, 8, 8, 8];
  assert.equal(common(sequence([1], 4, 1, planned), sequence([1], 4, 2, planned)), -1);
  assert.equal(common(sequence([1, 7], 4, 2), sequence([1], 4, 1, planned)), 2);
});
