/**
 * Faults on purpose, for testing those who depend on an engine.
 *
 * @module
 */
import { happensAt, wordAt } from "./dice.ts";

/** How often what goes wrong. */
export interface FaultSettings {
  /** Share of requests that fail on their way. */
  readonly failRate: number;
  /** Share of requests that stop answering on their way. */
  readonly hangRate: number;
  /** Share of passes that take longer. */
  readonly stallRate: number;
  /** How much longer. @unit seconds */
  readonly stallSeconds: number;
  /** What all choices follow from. */
  readonly seed: number;
}

/** What goes wrong with a request once it has so many tokens. */
export interface RequestFault {
  /** What. */
  readonly kind: "fail" | "hang";
  /** Tokens it gets before. */
  readonly afterTokens: number;
}

/** Salts that keep the choices apart. */
const [FAIL, HANG, STALL, PLACE] = [1, 2, 3, 4];

/** The fault of a request, if it has one. @param number Its number, from 0. */
export function requestFault(faults: FaultSettings, number: number, maxTokens: number): RequestFault | undefined {
  const afterTokens = wordAt(wordAt(faults.seed, PLACE!), number) % Math.max(1, maxTokens);
  if (happensAt(wordAt(faults.seed, FAIL!), number, faults.failRate)) return { kind: "fail", afterTokens };
  if (happensAt(wordAt(faults.seed, HANG!), number, faults.hangRate)) return { kind: "hang", afterTokens };
  return undefined;
}

/** How much longer a pass takes. @param number Its number, from 0. @returns Milliseconds. */
export function stallMs(faults: FaultSettings, number: number): number {
  return happensAt(wordAt(faults.seed, STALL!), number, faults.stallRate) ? 1000 * faults.stallSeconds : 0;
}
