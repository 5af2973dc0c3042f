/** Engines whose answers break the contract. */
import { chunk, usage } from "../../src/protocol/output.ts";
import { changed, forEver, good, isLast, testBroken } from "../support/kit_rig.ts";

testBroken({
  "generate throws at once": {
    check: "generate",
    failure: "GenerateFailed",
    message: /before its first chunk: Error: out of memory/,
    make: () => ({
      generate: () => {
        throw new Error("out of memory");
      },
    }),
  },
  "generate returns no stream": {
    check: "generate",
    failure: "GenerateFailed",
    message: /TypeError/,
    make: () => ({ generate: () => ({}) as never }),
  },
  "the stream throws before its first chunk": {
    check: "generate",
    failure: "GenerateFailed",
    message: /Error: lost/,
    make: () => ({
      // deno-lint-ignore require-yield
      async *generate() {
        throw new Error("lost");
      },
    }),
  },
  "the stream throws later": {
    check: "generate",
    failure: "StreamYieldedError",
    message: /after 1 chunks: Error: lost/,
    make: () => ({
      async *generate() {
        yield chunk.tokens([1]);
        throw new Error("lost");
      },
    }),
  },
  "the stream ends as failed": {
    check: "generate",
    failure: "StreamYieldedError",
    message: /ended as failed: lost/,
    make: () => ({
      async *generate() {
        yield chunk.error("lost");
      },
    }),
  },
  "the stream is empty": {
    check: "generate",
    failure: "NoChunksYielded",
    message: /ended without a chunk/,
    make: () => ({ async *generate() {} }),
  },
  "the stream hangs before its first chunk": {
    check: "generate",
    failure: "NoChunksYielded",
    message: /within 30 s/,
    make: () => ({
      // deno-lint-ignore require-yield
      async *generate() {
        await forEver;
      },
    }),
  },
  "the stream hangs later": {
    check: "generate",
    failure: "NoTerminalChunk",
    message: /nothing more came within 30 s after 1 chunks/,
    make: () => ({
      async *generate() {
        yield chunk.tokens([1]);
        await forEver;
      },
    }),
  },
  "the stream has no end but never waits": {
    check: "generate",
    failure: "NoTerminalChunk",
    message: /given up after 100000 chunks/,
    make: () => ({
      async *generate() {
        for (;;) yield chunk.tokens([]);
      },
    }),
  },
  "there is no terminal chunk": {
    check: "generate",
    failure: "NoTerminalChunk",
    message: /the stream ended after 8 chunks/,
    make: () => ({ generate: changed((piece) => chunk.tokens(piece.token_ids)) }),
  },
  "the stream stays open after its last chunk": {
    check: "generate",
    failure: "StreamLeftOpen",
    message: /did not end within 30 s/,
    make: () => ({
      async *generate(request, ctx) {
        yield* good(request, ctx);
        await forEver;
      },
    }),
  },
  "a chunk follows the last": {
    check: "generate",
    failure: "ChunkAfterTerminal",
    message: /follows/,
    make: () => ({
      async *generate(request, ctx) {
        yield* good(request, ctx);
        yield chunk.tokens([]);
      },
    }),
  },
  "completion_tokens is wrong": {
    check: "generate",
    failure: "CompletionTokensMismatch",
    message: /is 9 after 8/,
    make: () => ({
      generate: changed((piece) => isLast(piece) ? { ...piece, completion_usage: usage(3, 9) } : piece),
    }),
  },
  "a chunk has no token_ids": {
    check: "generate",
    failure: "TokenIdsMissing",
    message: /no token_ids/,
    make: () => ({ generate: changed((piece) => isLast(piece) ? piece : { text: "a" }) }),
  },
  "a chunk is nothing": {
    check: "generate",
    failure: "TokenIdsMissing",
    message: /no token_ids/,
    make: () => ({ generate: changed((piece) => isLast(piece) ? piece : undefined) }),
  },
  "a token id is negative": {
    check: "generate",
    failure: "TokenIdNotU32",
    message: /-1/,
    make: () => ({ generate: changed((piece) => ({ ...piece, token_ids: piece.token_ids.map(() => -1) })) }),
  },
  "index is 1": {
    check: "generate",
    failure: "IndexNotZero",
    message: /index is 1/,
    make: () => ({ generate: changed((piece) => ({ ...piece, index: 1 })) }),
  },
  "finish_reason is unknown": {
    check: "generate",
    failure: "UnknownFinishReason",
    message: /"done"/,
    make: () => ({ generate: changed((piece) => isLast(piece) ? { ...piece, finish_reason: "done" } : piece) }),
  },
  "max_tokens is not kept": {
    check: "max_tokens",
    failure: "MaxTokensExceeded",
    message: /2 tokens .* max_tokens of 1/,
    make: () => ({
      async *generate(request, ctx) {
        // It keeps to the limit only when that is a large one.
        if (request.stop_conditions.max_tokens !== 1) return yield* good(request, ctx);
        yield chunk.tokens([1]);
        yield chunk.length(undefined, [2]);
      },
    }),
  },
  "prompt_tokens is made up": {
    check: "usage",
    failure: "PromptTokensMismatch",
    message: /is 3 for a prompt of 5/,
    make: () => ({
      generate: changed((piece) => {
        const { completion_usage: used } = piece;
        return used === undefined ? piece : { ...piece, completion_usage: usage(3, used.completion_tokens) };
      }),
    }),
  },
  "usage does not add up": {
    check: "generate",
    failure: "UsageSumMismatch",
    message: /add up to 11/,
    make: () => ({
      generate: changed(({ completion_usage: used, ...piece }) =>
        used === undefined ? piece : { ...piece, completion_usage: { ...used, total_tokens: 12 } }
      ),
    }),
  },
  "log_probs are too few": {
    check: "log_probs",
    failure: "LogProbsMismatch",
    message: /0 entries for 1/,
    make: () => ({ generate: changed((piece) => piece.log_probs === undefined ? piece : { ...piece, log_probs: [] }) }),
  },
  "top_logprobs are too few": {
    check: "log_probs",
    failure: "TopLogprobsMismatch",
    message: /0 entries for 1/,
    make: () => ({
      generate: changed((piece) => piece.top_logprobs === undefined ? piece : { ...piece, top_logprobs: [] }),
    }),
  },
});
