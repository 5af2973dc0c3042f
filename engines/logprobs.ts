/**
 * Made-up log-probabilities.
 *
 * @module
 */
import type { GenerateChunk, GenerateRequest, TopLogprob } from "@stator/worker";

/** Ids that alternatives are taken from. */
export const VOCABULARY = 32_000;
const MAX_TOP_LOGPROBS = 20;

/**
 * Adds log-probabilities to a chunk of one token if the request wants them, the same for the same token.
 *
 * @source dynamo 1.6.1, `dynamo/common/backend/sample_engine.py`: the same numbers
 */
export function withLogprobs(piece: GenerateChunk, request: GenerateRequest): GenerateChunk {
  const wanted = request.output_options.logprobs;
  const id = piece.token_ids[0];
  if (wanted === null || id === undefined) return piece;
  const own = -0.1 * (id % 10);
  const top = Array.from({ length: Math.min(wanted, MAX_TOP_LOGPROBS) + 1 }, (_, r): TopLogprob => {
    const token_id = (id + r) % VOCABULARY;
    return { rank: r + 1, token_id, token: `token_id:${token_id}`, logprob: own - 0.1 * r };
  });
  return { ...piece, log_probs: [own], ...(wanted > 0 ? { top_logprobs: [top] } : {}) };
}
