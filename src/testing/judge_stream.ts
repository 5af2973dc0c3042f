/**
 * What the conformance kit makes of an answer it has read.
 *
 * @module
 */
import { type Bench, describe, failed, inSeconds, type Outcome } from "./conformance_bench.ts";
import type { Reading } from "./stream_probe.ts";

/** The failure of an answer that should be a good one; `null` if it is. */
export function judge(reading: Reading, { role, limitMs }: Bench, promptTokens: number): Outcome | null {
  const thrown = judgeThrown(reading);
  if (thrown !== null) return thrown;
  if (role === "encode") return judgeEncode(reading, promptTokens, limitMs);
  return judgeTokens(reading, limitMs);
}

/** The failure of an answer that ended in an exception; `null` if it did not. */
function judgeThrown({ end, chunks, thrown }: Reading): Outcome | null {
  if (end !== "threw") return null;
  if (chunks.length === 0) {
    return failed("GenerateFailed", `generate threw before its first chunk: ${describe(thrown)}`);
  }
  return failed("StreamYieldedError", `generate threw after ${chunks.length} chunks: ${describe(thrown)}`);
}

function judgeTokens(reading: Reading, limitMs: number): Outcome | null {
  const { chunks, end, finishReason, violations } = reading;
  const violation = violations.find(({ kind }) => kind !== "NoTerminalChunk");
  if (violation !== undefined) return failed(violation.kind, violation.message);
  const untilWhen = end === "ended" ? "the stream ended" : `nothing more came within ${inSeconds(limitMs)}`;
  if (chunks.length === 0) {
    return failed(
      "NoChunksYielded",
      end === "ended" ? "the stream ended without a chunk" : `no chunk came within ${inSeconds(limitMs)}`,
    );
  }
  if (finishReason === null) {
    const instead = end === "stopped" ? "reading was given up" : untilWhen;
    return failed("NoTerminalChunk", `${instead} after ${chunks.length} chunks, none with a finish_reason`);
  }
  if (typeof finishReason === "object") {
    return failed("StreamYieldedError", `the answer ended as failed: ${finishReason.error}`);
  }
  if (end !== "ended") {
    return failed(
      "StreamLeftOpen",
      `the stream did not end within ${inSeconds(limitMs)} though its last chunk was seen`,
    );
  }
  return null;
}

/** @source dynamo-backend-common 1.6.1, `testing.rs`, `validate_encode_items` */
function judgeEncode({ chunks, end, finishReason }: Reading, promptTokens: number, limitMs: number): Outcome | null {
  const [only] = chunks;
  if (only === undefined || chunks.length > 1) {
    const count = `an encode worker yields one chunk, this one yielded ${chunks.length}`;
    return failed("EncodeChunkCount", end === "late" ? `${count} within ${inSeconds(limitMs)}` : count);
  }
  if (finishReason !== "stop") return failed("EncodeTerminalExpected", "the chunk's finish_reason is not stop");
  if (only.token_ids?.length !== 0) return failed("EncodeTokensNotEmpty", "token_ids of the chunk is not empty");
  const { encoder_result: result, completion_usage: usage } = only;
  if (typeof result !== "object" || result === null || Array.isArray(result)) {
    return failed("EncoderResultExpectedObject", "the chunk has no encoder_result object");
  }
  if (usage !== undefined && usage !== null) {
    const { prompt_tokens, completion_tokens, total_tokens } = usage;
    if (prompt_tokens !== promptTokens || completion_tokens !== 0 || total_tokens !== promptTokens) {
      const seen = `${prompt_tokens} + ${completion_tokens} = ${total_tokens}`;
      return failed("EncodeUsageMismatch", `usage has to be ${promptTokens} + 0 = ${promptTokens}, not ${seen}`);
    }
  }
  if (end !== "ended") return failed("StreamLeftOpen", `the stream did not end within ${inSeconds(limitMs)}`);
  return null;
}
