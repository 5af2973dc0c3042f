/**
 * What an engine is told about a request beside its body.
 *
 * @module
 */

import type { AbortReason } from "../protocol/control.ts";
import type { EngineLog } from "./log.ts";
import type { TraceContext } from "./span.ts";

export type { AbortReason };

/** The `reason` of an aborted `ctx.signal`. */
export class RequestAborted extends Error {
  /** Why. */
  readonly reason: AbortReason;

  /** Makes a reason. */
  constructor(reason: AbortReason) {
    super(`Request aborted: ${reason}`);
    this.name = "RequestAborted";
    this.reason = reason;
  }
}

/** Time for engines. On a simulated platform it is virtual, so an engine that waits by it can be tested in no time. */
export interface EngineClock {
  /** Monotonic time. @unit milliseconds, fractional */
  now(): number;
  /**
   * Resolves at an absolute time of {@linkcode now}, at once if that has passed; also when `signal` aborts, never
   * rejecting. Aim at `start + n * interval` rather than sleeping n times, so that lateness does not add up.
   */
  sleepUntil(time: number, signal?: AbortSignal): Promise<void>;
  /** Resolves in the next turn of the event loop, so that other streams and cancellation get their chance. */
  nextTurn(): Promise<void>;
}

/** An engine's surroundings for its whole life. */
export interface StartContext {
  /** The time that requests have too, for engines that wait. */
  readonly clock: EngineClock;
  /** Takes lines about the engine itself; keep it for later. Those about a request go to its own `ctx.log`. */
  readonly log: EngineLog;
}

/** One request's surroundings. */
export interface GenerateContext extends TraceContext {
  /** The request id; do not assume a UUID. */
  readonly id: string;
  /**
   * Aborts when the answer is no longer wanted; its `reason` is a {@linkcode RequestAborted}. It works from before the
   * first chunk. End the stream with `chunk.cancelled()` then; code in `finally` runs on every way out.
   */
  readonly signal: AbortSignal;
  /** `x-dynamo-meta-*` headers of the HTTP request. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Time, for engines that wait. */
  readonly clock: EngineClock;
  /** Takes lines about the request, which carry its id, and its trace if the frontend sent one. */
  readonly log: EngineLog;
  /**
   * Says that the answer has begun; the worker says so itself with the first chunk that has tokens, and saying it again
   * changes nothing. A decode engine may say it earlier, when the prompt's KV blocks are its own: until then its `abort`
   * is not called, since the prefill side may still be writing to them.
   *
   * @source dynamo-backend-common 1.6.1, `engine.rs`, `notify_first_token`
   */
  notifyFirstToken(): void;
}
