/**
 * Where a pass over a prompt stops so that there is a state to keep.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/core.rs`, `align_state_prefill`
 * @module
 */
import type { EngineArgs } from "../args.ts";
import type { EngineRequest } from "../engine_request.ts";

/**
 * How many of the tokens that a pass could compute it does compute: up to the end of a block, of the last full block, or
 * of the last unit of the prompt. 0: the pass would stop within a block.
 *
 * @param from Tokens that are there already. @unit tokens
 * @param wanted Tokens that budget and request allow. @unit tokens
 */
export function alignedTokens(args: EngineArgs, request: EngineRequest, from: number, wanted: number): number {
  const { prefix_match_unit: unit, block_size: block, max_num_batched_tokens: budget } = args;
  const { promptTokens, knownTokens } = request;
  const prefillEnd = Math.max(promptTokens, knownTokens - 1);
  if (unit === undefined || !args.enable_prefix_caching || from >= prefillEnd) return wanted;
  let end = from + wanted;
  if (end < prefillEnd) {
    const aligned = floorTo(end, block);
    // A block that no pass can hold is computed in parts.
    if (aligned > from || block <= (budget ?? Infinity)) end = aligned;
  }
  const lastBlock = floorTo(knownTokens, block);
  const lastUnit = floorTo(promptTokens, unit);
  const stops = [from % block === 0 ? 0 : floorTo(from, block) + block, lastBlock];
  if (lastBlock < lastUnit && lastUnit < promptTokens) stops.push(lastUnit);
  for (const stop of stops) if (from < stop && stop < end) end = stop;
  return Math.max(0, end - from);
}

function floorTo(tokens: number, size: number): number {
  return Math.floor(tokens / size) * size;
}
