/**
 * The check that leaving a stream early frees what it holds.
 *
 * @module
 */
import type { GenerateChunk } from "../protocol/output.ts";
import {
  type Bench,
  CANCEL_LIMIT_MS,
  type Check,
  describe,
  failed,
  inSeconds,
  type Outcome,
  PASSED,
  requestFor,
} from "./conformance_bench.ts";
import { fakeContext } from "./context.ts";
import { judge } from "./judge_stream.ts";
import { type KitTime, within } from "./kit_time.ts";
import { StreamProbe } from "./stream_probe.ts";

/** Streams that are left at once, when the engine does not say how many it takes. */
const DEFAULT_STREAMS = 8;
/** Most streams that are left at once. */
const MAX_STREAMS = 64;

/** Leaves as many streams as the engine takes at once after their first chunks; then another request must still find a place. */
async function earlyReturn(bench: Bench): Promise<Outcome> {
  const count = Math.min(bench.config?.maxNumSeqs ?? DEFAULT_STREAMS, MAX_STREAMS);
  const outcomes = await Promise.all(Array.from({ length: count }, () => leaveEarly(bench)));
  const fault = outcomes.find((outcome) => outcome !== PASSED);
  if (fault !== undefined) return fault;
  const request = requestFor(bench);
  const reading = await new StreamProbe(bench, request).run(bench.limitMs);
  const after = judge(reading, bench, request.token_ids.length);
  if (after === null) return PASSED;
  const what = `after ${count} streams were left early, the next one failed: ${after.failure}: ${after.message}`;
  return failed("EarlyReturnLeaked", what);
}

async function leaveEarly(bench: Bench): Promise<Outcome> {
  const { engine, limitMs, time } = bench;
  const context = fakeContext({ clock: time.engineClock });
  let iterator: AsyncIterator<GenerateChunk> | null = null;
  const first = await within(time.patience, limitMs, () => {
    iterator = engine!.generate(requestFor(bench), context)[Symbol.asyncIterator]();
    return iterator.next();
  });
  if (first.kind === "threw") return failed("GenerateFailed", `one of many streams threw: ${describe(first.error)}`);
  if (first.kind === "late") {
    return failed("NoChunksYielded", `no chunk of one of many streams came within ${inSeconds(limitMs)}`);
  }
  return await leave(iterator!, time);
}

async function leave(iterator: AsyncIterator<GenerateChunk>, time: KitTime): Promise<Outcome> {
  if (iterator.return === undefined) {
    return failed("EarlyReturnIgnored", "the iterator of the stream has no return method, so nothing can be freed");
  }
  const left = await within(time.deadline, CANCEL_LIMIT_MS, () => iterator.return!());
  if (left.kind === "late") {
    const what = `finally blocks did not finish within ${inSeconds(CANCEL_LIMIT_MS)} after the consumer left`;
    return failed("EarlyReturnNotObserved", what);
  }
  if (left.kind === "threw") {
    return failed("EarlyReturnFailed", `it threw when the consumer left: ${describe(left.error)}`);
  }
  const next = await within(time.deadline, CANCEL_LIMIT_MS, () => iterator.next());
  if (next.kind === "done" && next.value.done === true) return PASSED;
  return failed("EarlyReturnIgnored", "the stream did not end when the consumer left");
}

/** The check. */
export const EARLY_RETURN_CHECK: Check = {
  name: "early_return",
  needs: ["generate", "concurrent_generates"],
  run: earlyReturn,
};
