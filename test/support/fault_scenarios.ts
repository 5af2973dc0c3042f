/**
 * What the fault engine can do, by number: a test names a scenario in the `seed` of its request.
 *
 * @module
 */
import { readFileSync } from "node:fs";

const CONTRACT = new URL("../golden/contract/http/", import.meta.url);

/** A capture of the contract, see `test/golden/contract/README.md`. */
// deno-lint-ignore no-explicit-any -- captures are compared, not used
export function contractCapture(name: string): Record<string, any> {
  return JSON.parse(readFileSync(new URL(name, CONTRACT), "utf8"));
}

/** What a scenario throws: an error of that kind, or one of `fault_errors.ts`. */
export const THROWN = [
  "Unknown",
  "InvalidArgument",
  "CannotConnect",
  "ConnectionTimeout",
  "Disconnected",
  "EngineShutdown",
  "StreamIncomplete",
  "Cancelled",
  "ResponseTimeout",
  "private InvalidArgument",
  "Error",
  "string",
  "size_limit",
  "context_length",
  "rate_limit",
  "public Unknown",
  "Unknown with public cause",
  "Error with typed cause",
  "AggregateError",
  "undefined",
  "hostile object",
] as const;

const FINISH = Object.keys(contractCapture("finish_reasons.json"));
const CHUNKS = Object.keys(contractCapture("chunks_to_http.json"));

/** Names of all scenarios; the position is the number. */
export const SCENARIOS: readonly string[] = [
  ...THROWN.flatMap((what) => [`throw ${what} after 0`, `throw ${what} after 2`]),
  ...FINISH.map((reason) => `finish ${reason}`),
  ...CHUNKS.map((name) => `chunks ${name}`),
  "slow",
  "silent",
  "deaf",
];

/** The `seed` that asks for a scenario. */
export function seedOf(scenario: string): number {
  const seed = SCENARIOS.indexOf(scenario);
  if (seed === -1) throw new RangeError(`Unknown scenario: ${scenario}`);
  return seed;
}
