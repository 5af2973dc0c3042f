/**
 * Whole responses as a frontend reads them, and what stands in them.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ErrorKind } from "../../src/protocol/error.ts";
import { chunk, usage } from "../../src/protocol/output.ts";
import { decodeMsgpack } from "../../src/protocol/payload.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { RawFrame, RawRequestOptions } from "./raw_frontend.ts";
import { eventually, type Generate, type Probe, probeEngine, startRig } from "./worker_rig.ts";

/** Header of the frame that opens an answer. */
export const PROLOGUE_OK = '{"error":null}';
/** Header of the last frame. */
export const SENTINEL = '"sentinel"';
/** Body of the frame before it. */
export const FINAL = { complete_final: true };

/** Bodies and headers of a whole response, decoded. */
export function read(frames: readonly RawFrame[], codec: "json" | "msgpack" = "json"): unknown[] {
  return frames.map(({ header, body }) => {
    if (body.length === 0) return header;
    assert.equal(header, "");
    return codec === "json" ? JSON.parse(new TextDecoder().decode(body)) : decodeMsgpack(body);
  });
}

/** Header of the first frame. */
export const handshake = (subject: string) => JSON.stringify({ subject, stream_type: "response" });

/** The item of a chunk with all fields that a worker writes. */
export function item(token_ids: number[], more: Record<string, unknown> = {}): unknown {
  const empty = {
    tokens: null,
    text: null,
    output_type: "text",
    cum_log_probs: null,
    log_probs: null,
    top_logprobs: null,
  };
  return { data: { data: { token_ids, ...empty, finish_reason: null, index: 0, ...more } }, complete_final: false };
}

/** The item of an error. */
export function errorItem(
  kind: ErrorKind,
  class_: string,
  reason: string,
  message: string,
  more: object = {},
): unknown {
  const error = { error_type: { Backend: kind }, class: class_, reason, message, diagnostic: message, ...more };
  return { data: { event: "error", error }, complete_final: false };
}

/** Two tokens, then the end. */
export const twoTokens: Generate = async function* () {
  yield chunk.tokens([1]);
  await Promise.resolve();
  yield chunk.tokens([70_000]);
  yield chunk.stop(usage(3, 2));
};

/** Runs an engine on one request, to the end of its generator. */
export async function answer(
  generate: Generate,
  options: RawRequestOptions = {},
  worker: WorkerOptions = {},
): Promise<{ frames: unknown[]; probe: Probe; acks: string[] }> {
  const { engine, probe } = probeEngine(generate);
  await using rig = await startRig(engine, { worker });
  const call = await rig.send({ id: "r", subject: "s", ...options });
  const frames = read(await call.whole(), options.codec);
  await eventually("the generator to end", () => probe.open === 0);
  return { frames, probe, acks: rig.link.acks };
}
