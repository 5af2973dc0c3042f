/**
 * What an engine tells planners about each forward pass.
 *
 * @module
 */

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
