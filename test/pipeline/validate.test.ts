import assert from "node:assert/strict";
import { test } from "node:test";
import { createValidator, type Violation, type ViolationKind } from "../../src/pipeline/validate.ts";
import { DynamoError, type ErrorKind } from "../../src/protocol/error.ts";
import { chunk, type CompletionUsage, type GenerateChunk, usage } from "../../src/protocol/output.ts";
import { type GenerateRequest, parseRequest } from "../../src/protocol/request.ts";

/** A request with a prompt of three tokens that wants at most four. */
function requestOf(members: Record<string, unknown> = {}): GenerateRequest {
  return parseRequest({ model: "m", token_ids: [1, 2, 3], stop_conditions: { max_tokens: 4 }, ...members });
}

/** What `warn` reports of a stream that ends by itself. */
function violations(chunks: readonly unknown[], role = "agg", request = requestOf()): Violation[] {
  const found: Violation[] = [];
  const validator = createValidator(request, "warn", { role, report: (violation) => void found.push(violation) });
  for (const each of chunks) validator.push(each as GenerateChunk);
  validator.end();
  return found;
}

const one = chunk.tokens([7]);
const stop = chunk.stop();
const tally = (prompt_tokens: number, completion_tokens: number, total_tokens: number): CompletionUsage => ({
  prompt_tokens,
  completion_tokens,
  total_tokens,
});

const BROKEN: readonly [ViolationKind, readonly unknown[], RegExp, ErrorKind][] = [
  ["TokenIdsMissing", [{ index: 0 }, stop], /no token_ids/, "InvalidArgument"],
  ["TokenIdsMissing", [{ token_ids: "12" }, stop], /no token_ids/, "InvalidArgument"],
  ["TokenIdNotU32", [chunk.tokens([1, -1]), stop], /-1 is no unsigned/, "InvalidArgument"],
  ["TokenIdNotU32", [chunk.tokens([1.5]), stop], /1\.5/, "InvalidArgument"],
  ["TokenIdNotU32", [chunk.tokens([2 ** 32]), stop], /4294967296/, "InvalidArgument"],
  ["TokenIdNotU32", [{ token_ids: ["1"] }, stop], /1 is no/, "InvalidArgument"],
  ["IndexNotZero", [{ ...one, index: 1 }, stop], /index is 1/, "Unknown"],
  ["LogProbsMismatch", [{ ...one, log_probs: [-1, -2] }, stop], /2 entries for 1/, "Unknown"],
  ["LogProbsMismatch", [{ ...one, log_probs: [] }, stop], /0 entries for 1/, "Unknown"],
  ["TopLogprobsMismatch", [{ ...one, top_logprobs: [] }, stop], /0 entries for 1/, "Unknown"],
  ["UnknownFinishReason", [{ ...stop, finish_reason: "tool_calls" }], /"tool_calls"/, "InvalidArgument"],
  ["UnknownFinishReason", [{ ...stop, finish_reason: 3 }], /of type number/, "InvalidArgument"],
  ["MaxTokensExceeded", [chunk.tokens([1, 2, 3, 4]), one, stop], /5 tokens .* max_tokens of 4/, "Unknown"],
  ["MaxTokensExceeded", [chunk.length(undefined, [1, 2, 3, 4, 5])], /5 tokens/, "Unknown"],
  ["PromptTokensMismatch", [chunk.stop(usage(2, 0))], /prompt_tokens is 2 for a prompt of 3/, "Unknown"],
  ["CompletionTokensMismatch", [one, chunk.stop(usage(3, 2))], /completion_tokens is 2 after 1/, "Unknown"],
  ["CompletionTokensMismatch", [one, chunk.stop(usage(3, 1), [8])], /completion_tokens is 1 after 2/, "Unknown"],
  ["UsageSumMismatch", [one, chunk.stop(tally(3, 1, 5))], /total_tokens is 5, .* add up to 4/, "Unknown"],
  ["UsageSumMismatch", [{ ...one, completion_usage: tally(3, 1, 3) }, stop], /total_tokens is 3/, "Unknown"],
  ["ChunkAfterTerminal", [stop, chunk.tokens([])], /follows/, "Unknown"],
  ["ChunkAfterTerminal", [stop, stop], /follows/, "Unknown"],
  ["NoTerminalChunk", [one], /without a finish_reason/, "StreamIncomplete"],
  ["NoTerminalChunk", [], /without a finish_reason/, "StreamIncomplete"],
];

for (const [i, [kind, chunks, message, error]] of BROKEN.entries()) {
  test(`createValidator() reports ${kind} and nothing else (${i})`, () => {
    const found = violations(chunks);
    assert.deepEqual(found.map((violation) => violation.kind), [kind]);
    assert.match(found[0]!.message, message);
  });

  test(`createValidator() throws ${kind} as ${error}, without a text for clients (${i})`, () => {
    const validator = createValidator(requestOf(), "throw");
    const run = () => {
      for (const each of chunks) validator.push(each as GenerateChunk);
      validator.end();
    };
    assert.throws(run, (thrown) => {
      assert.ok(thrown instanceof DynamoError);
      assert.equal(thrown.kind, error);
      assert.match(thrown.message, new RegExp(`stream contract: .* \\(${kind}\\)$`));
      assert.equal(thrown.publicMessage, null);
      return true;
    });
  });
}

const FINE: Readonly<Record<string, readonly unknown[]>> = {
  "tokens, then the end": [one, one, chunk.stop(usage(3, 2))],
  "the last tokens on the terminal chunk": [one, chunk.length(usage(3, 4), [1, 2, 3])],
  "an empty chunk that is not the last": [chunk.tokens([]), stop],
  "no usage": [one, stop],
  "a running usage that lags behind": [{ ...one, completion_usage: usage(3, 0) }, stop],
  "a chunk without an index, or with null members": [
    { token_ids: [1], index: null, log_probs: null, top_logprobs: null, finish_reason: null },
    stop,
  ],
  "log-probabilities of each token": [
    { token_ids: [1, 2], log_probs: [-1, -2], top_logprobs: [[], []] },
    stop,
  ],
  "tokens in a typed array": [{ token_ids: Uint32Array.of(1, 2 ** 32 - 1) }, stop],
  "the reason abort": [{ ...stop, finish_reason: "abort" }],
  "the reason eos": [{ ...stop, finish_reason: "eos" }],
  "the reason error as text": [{ ...stop, finish_reason: "error: out of memory" }],
  "the reason error as an object": [chunk.error("out of memory")],
  "a cancelled stream": [one, chunk.cancelled(usage(3, 1))],
};

for (const [name, chunks] of Object.entries(FINE)) {
  test(`createValidator() accepts ${name}`, () => assert.deepEqual(violations(chunks), []));
}

test("an encode worker owes an encoder_result, except for a cancelled or failed request", () => {
  const bare = violations([stop], "encode").map(({ kind }) => kind);
  assert.deepEqual(bare, ["EncoderResultExpectedObject"]);
  const list = violations([{ ...stop, encoder_result: [] }], "encode").map(({ kind }) => kind);
  assert.deepEqual(list, ["EncoderResultExpectedObject"]);
  for (const last of [{ ...stop, encoder_result: {} }, chunk.cancelled(), chunk.error("x")]) {
    assert.deepEqual(violations([last], "encode"), []);
  }
});

test("prompt_tokens may differ from the prompt when media expand in it", () => {
  const request = requestOf({ multi_modal_data: { image_url: [{ Url: "data:," }] } });
  assert.deepEqual(violations([chunk.stop(usage(600, 0))], "agg", request), []);
});

test("a request without max_tokens has no limit", () => {
  const request = requestOf({ stop_conditions: {} });
  assert.deepEqual(violations([...Array.from({ length: 50 }, () => one), stop], "agg", request), []);
});

test("warn reports each kind once a stream", () => {
  const wrong = { ...one, index: 1, log_probs: [] };
  const kinds = violations([wrong, wrong, wrong, stop]).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["IndexNotZero", "LogProbsMismatch"]);
});

test("off looks at nothing", () => {
  const report = (violation: Violation) => assert.fail(violation.kind);
  const validator = createValidator(requestOf(), "off", { report });
  validator.push({} as GenerateChunk);
  validator.push(stop);
  validator.push(stop);
  validator.end();
});
