/**
 * What an engine tells planners about each forward pass.
 *
 * @module
 */
import type { RankRange } from "./dp_rank.ts";

/** The requests that a pass leaves waiting. */
export interface QueuedWork {
  /** Requests whose prompt is not computed. */
  readonly numPrefillRequests: number;
  /** Tokens of those prompts. @unit tokens */
  readonly sumPrefillTokens: number;
  /** Population variance of the lengths of those prompts. @default 0 */
  readonly varPrefillLength?: number;
  /** Requests that were decoding and lost their place. */
  readonly numDecodeRequests: number;
  /** Tokens of their contexts: prompt and answer so far. @unit tokens */
  readonly sumDecodeKvTokens: number;
  /** Population variance of those contexts. @default 0 */
  readonly varDecodeKvTokens?: number;
}

/** The requests that a pass computes. */
export interface ScheduledWork extends QueuedWork {
  /** Requests of which it computes prompt tokens. */
  readonly numPrefillRequests: number;
  /** Prompt tokens that it computes; neither cached ones nor those of earlier passes. @unit tokens */
  readonly sumPrefillTokens: number;
  /** Tokens of those requests that are in the cache already. @unit tokens */
  readonly sumPrefillKvTokens: number;
  /** Requests that it computes an output token of. */
  readonly numDecodeRequests: number;
}

/** One forward pass of one rank. @source dynamo-common 1.6.1, `forward_pass_metrics.py`, `ForwardPassMetrics` */
export interface ForwardPass {
  /** How long it took, from the schedule to the tokens. @unit seconds */
  readonly wallTimeSeconds: number;
  /** What it computed. */
  readonly scheduled: ScheduledWork;
  /** What it left waiting. */
  readonly queued: QueuedWork;
}

/**
 * What an engine publishes its forward passes through. Calls return at once; after the worker has stopped they do
 * nothing.
 *
 * Planners size deployments by the newest pass of each rank. After a second without one the worker tells them that the
 * rank is idle, so an engine need not.
 *
 * @source dynamo-llm 1.6.1, `FpmDirectPublisher`
 */
export interface ForwardPassPublisher {
  /**
   * Publishes a pass, when it has ended.
   *
   * @throws {RangeError} If the rank is not one of this worker, or a figure is negative, not finite or, of a count, not
   * whole; nothing is published then.
   */
  publish(dpRank: number, pass: ForwardPass): void;
}

const QUEUED_COUNTS = ["numPrefillRequests", "sumPrefillTokens", "numDecodeRequests", "sumDecodeKvTokens"] as const;
const SCHEDULED_COUNTS = [...QUEUED_COUNTS, "sumPrefillKvTokens"] as const;
const VARIANCES = ["varPrefillLength", "varDecodeKvTokens"] as const;

/**
 * Holds a pass to what planners can read.
 *
 * @throws {RangeError} As {@linkcode ForwardPassPublisher.publish}; it names the figure.
 */
export function checkForwardPass({ start, size }: RankRange, dpRank: number, pass: ForwardPass): void {
  if (!Number.isInteger(dpRank) || dpRank < start || dpRank >= start + size) {
    throw refused(dpRank, `the ranks of this worker are ${start} to ${start + size - 1}`);
  }
  const { wallTimeSeconds, scheduled, queued } = pass;
  checkAmount(dpRank, "", "wallTimeSeconds", wallTimeSeconds);
  for (const name of SCHEDULED_COUNTS) checkCount(dpRank, "scheduled.", name, scheduled[name]);
  for (const name of QUEUED_COUNTS) checkCount(dpRank, "queued.", name, queued[name]);
  for (const name of VARIANCES) {
    checkAmount(dpRank, "scheduled.", name, scheduled[name] ?? 0);
    checkAmount(dpRank, "queued.", name, queued[name] ?? 0);
  }
}

function checkCount(dpRank: number, of: string, name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw refused(dpRank, `${of}${name} is ${value}, not a whole number from 0 on`);
}

function checkAmount(dpRank: number, of: string, name: string, value: number): void {
  if (Number.isFinite(value) && value >= 0) return;
  throw refused(dpRank, `${of}${name} is ${value}, not a number from 0 on`);
}

function refused(dpRank: number, problem: string): RangeError {
  return new RangeError(`Cannot publish a forward pass of rank ${dpRank}: ${problem}`);
}
