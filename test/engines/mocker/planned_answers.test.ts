import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePlannedAnswers, replayKeyOf } from "../../../engines/mocker/live/planned_answers.ts";

const lines = (...rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const parsed = (text: string) =>
  Object.fromEntries([...parsePlannedAnswers(text)].map(([key, ids]) => [key, [...ids]]));

test("rows are known by request, else by session and turn, else by line", () => {
  const trace = lines(
    { request_id: " explicit ", session_id: "s", output_length: 2, output_token_ids: [7, 8] },
    { session_id: "s", output_length: 1, output_token_ids: [9] },
    { session_id: "s", output_length: 5 },
    { session_id: "s", output_length: 0, output_token_ids: [] },
    { output_length: 1, output_token_ids: [10] },
  );
  const answers = { explicit: [7, 8], "s:1": [9], "s:3": [], "line:4": [10] };
  assert.deepEqual(parsed(trace), answers);
  assert.deepEqual(parsed(`${trace}\n\n`), answers);
  assert.deepEqual(parsed(`\n${lines({ request_id: null, output_tokens: 1, output_token_ids: [1] })}`), {
    "line:1": [1],
  });
});

for (
  const [trace, message] of [
    ["{", /^line 1 is no JSON/],
    ["3", /^line 1 is no object$/],
    ['\n{"session_id":1}', /^line 2 has a session_id that is no string$/],
    [lines({ output_token_ids: [1] }), /^line 1 has 1 output_token_ids, but output_length is missing$/],
    [lines({ output_token_ids: [1], output_length: 2 }), /^line 1 has 1 output_token_ids, but output_length 2$/],
    [lines({ output_token_ids: [-1], output_length: 1 }), /^line 1 has output_token_ids that are no token ids$/],
    [lines({ output_token_ids: [2 ** 32], output_length: 1 }), /no token ids$/],
    [lines({ output_token_ids: "a", output_length: 1 }), /no token ids$/],
    [
      lines(...Array(2).fill({ request_id: "r", output_token_ids: [1], output_length: 1 })),
      /^line 2 has the key r again; keys must differ$/,
    ],
  ] as const
) {
  test(`a trace is refused: ${JSON.stringify(trace)}`, () => {
    assert.throws(() => parsePlannedAnswers(trace), { name: "RangeError", message });
  });
}

test("the first annotation of the kind has the key", () => {
  assert.equal(replayKeyOf([]), undefined);
  assert.equal(replayKeyOf(["output_replay_id", "output_replay_id:a:1", "output_replay_id:b"]), "a:1");
});
