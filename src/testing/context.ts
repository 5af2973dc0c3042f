/**
 * Surroundings for an engine under test.
 *
 * @module
 */
import { type AbortReason, type GenerateContext, RequestAborted } from "../engine/context.ts";
import { untraced } from "../engine/span.ts";
import { SILENT } from "../observe/log.ts";
import { createEngineClock } from "../pipeline/engine_clock.ts";
import { realPlatform } from "../platform/real.ts";

/** A context as a worker would give it, that nobody aborts and whose log shows nothing; `overrides` replace its members. */
export function fakeContext(overrides: Partial<GenerateContext> = {}): GenerateContext {
  return {
    id: realPlatform.random.uuid(),
    signal: new AbortController().signal,
    metadata: {},
    ...untraced(),
    clock: createEngineClock(realPlatform.clock),
    log: SILENT,
    notifyFirstToken() {},
    ...overrides,
  };
}

/** A context whose request is given up by itself. Disposing it prevents that, and frees the timer. */
export interface CancellingContext extends GenerateContext, Disposable {}

/**
 * A context whose request is given up after a while.
 *
 * @param ms Time until then; 0 is at once, before the engine is called. @unit milliseconds
 * @param reason Why, as in `ctx.signal.reason`.
 */
export function cancellingContext(ms: number, reason: AbortReason = "kill"): CancellingContext {
  const control = new AbortController();
  const abort = () => control.abort(new RequestAborted(reason));
  if (ms <= 0) abort();
  const timer = ms <= 0 ? null : realPlatform.clock.timer(ms, abort);
  return { ...fakeContext({ signal: control.signal }), [Symbol.dispose]: () => timer?.[Symbol.dispose]() };
}
