/**
 * What prefill and decode engines owe each other.
 *
 * @module
 */
import { invalidArgument } from "./error.ts";
import { type GenerateRequest, isProbe } from "./request.ts";

/**
 * What the prefill leg of a request handed over; `undefined` for a health probe, which has no prefill leg.
 *
 * Decode engines call this first. With a rendezvous there is none either: ask `request.bootstrap_info` before.
 *
 * @throws {DynamoError} `InvalidArgument` if any other request comes without.
 * @source dynamo 1.6.1, `backend/disagg.py`, `require_prefill_result`
 */
export function requirePrefillResult(request: GenerateRequest): GenerateRequest["prefill_result"] {
  const result = request.prefill_result ?? undefined;
  if (result === undefined && !isProbe(request)) throw invalidArgument("a decode worker needs prefill_result");
  return result;
}

/**
 * The request as a prefill engine answers it: with one token, whatever the client wants.
 *
 * @source dynamo 1.6.1, `backend/disagg.py`, `enforce_prefill_max_tokens`
 */
export function enforcePrefillMaxTokens(request: GenerateRequest): GenerateRequest {
  return { ...request, stop_conditions: { ...request.stop_conditions, max_tokens: 1 } };
}
