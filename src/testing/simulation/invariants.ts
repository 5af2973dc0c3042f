/**
 * All promises that a life is checked against.
 *
 * @module
 */
import type { Life } from "./life.ts";
import { lifeFacts } from "./life_facts.ts";
import { exactlyOneEnd, nothingLeftOver, sameTokens, toldToStop } from "./request_invariants.ts";
import type { Violation } from "./violation.ts";
import { cleanupOnce, everythingGivenBack, exitSaysWhy, registeredIsServing } from "./worker_invariants.ts";

const INVARIANTS = [
  exactlyOneEnd,
  sameTokens,
  toldToStop,
  nothingLeftOver,
  registeredIsServing,
  cleanupOnce,
  exitSaysWhy,
  everythingGivenBack,
];

/** What a life broke. */
export function violations(life: Life): Violation[] {
  const facts = lifeFacts(life);
  return INVARIANTS.flatMap((check) => check(facts));
}
