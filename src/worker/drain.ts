/**
 * The engine's background work comes to its end.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import type { WorkerType } from "../protocol/model_card.ts";

/** Settings of {@linkcode drainEngine}. */
export interface DrainOptions {
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Longest wait for a prefill engine. @unit seconds */
  readonly prefillDrainTimeoutSeconds: number;
}

/** @source dynamo-backend-common 1.6.1, `worker.rs`: poll interval of `is_quiescent` */
const POLL_MS = 500;

/**
 * Calls `drain` once, then, for a prefill worker, polls `isQuiescent` until it says `true` or its time is up.
 *
 * @source dynamo-backend-common 1.6.1, `worker.rs`, drain; the `drain` hook is of the contract document
 */
export async function drainEngine(
  engine: Engine,
  role: WorkerType,
  signal: AbortSignal,
  options: DrainOptions,
): Promise<void> {
  await engine.drain?.(signal);
  if (role !== "prefill" || engine.isQuiescent === undefined) return;
  const { clock, log } = options;
  const deadline = clock.now() + 1000 * Math.max(0, options.prefillDrainTimeoutSeconds);
  while (!await isQuiescent(engine, log)) {
    if (signal.aborted) return;
    if (clock.now() >= deadline) {
      log.warn("drain: timed out; the prefill engine never became quiescent");
      return;
    }
    await delay(clock, POLL_MS, signal);
  }
}

async function isQuiescent(engine: Engine, log: Log): Promise<boolean> {
  try {
    return await engine.isQuiescent?.() === true;
  } catch (error) {
    log.debug("is_quiescent failed", { error });
    return false;
  }
}
