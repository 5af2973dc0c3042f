/**
 * Checks of what `generate` yields.
 *
 * @module
 */
import {
  type Bench,
  CANCEL_LIMIT_MS,
  type Check,
  describe,
  failed,
  inSeconds,
  notApplicable,
  type Outcome,
  PASSED,
  requestFor,
  type Wish,
} from "./conformance_bench.ts";
import type { ConformanceFailure } from "./conformance_report.ts";
import { judge } from "./judge_stream.ts";
import { type Reading, StreamProbe } from "./stream_probe.ts";

/** Streams at once. @source dynamo-backend-common 1.6.1, `CONCURRENT` */
const CONCURRENT = 8;
/** More than an engine can yield before it should have seen a cancel. @source dynamo-backend-common 1.6.1, `LONG_MAX_TOKENS` */
const LONG_MAX_TOKENS = 10_000;

/** One request, read to its end; what is wrong with it, if anything is. */
async function ask(
  bench: Bench,
  wish: Wish = {},
): Promise<{ readonly reading: Reading; readonly fault: Outcome | null }> {
  const request = requestFor(bench, wish);
  const reading = await new StreamProbe(bench, request).run(bench.limitMs);
  return { reading, fault: judge(reading, bench, request.token_ids.length) };
}

async function generate(bench: Bench): Promise<Outcome> {
  return (await ask(bench)).fault ?? PASSED;
}

/** Frontends do not enforce the limit, so an engine that has one of its own only shows here. */
async function maxTokens(bench: Bench): Promise<Outcome> {
  for (const limit of bench.role === "prefill" ? [1] : [1, 3]) {
    const { fault } = await ask(bench, { maxTokens: limit });
    if (fault !== null) return fault;
  }
  return PASSED;
}

async function usage(bench: Bench): Promise<Outcome> {
  const { reading, fault } = await ask(bench, {
    promptTokens: 5,
    ...(bench.role === "prefill" ? {} : { maxTokens: 4 }),
  });
  if (fault !== null) return fault;
  const hasUsage = reading.chunks.some(({ completion_usage }) => (completion_usage ?? null) !== null);
  return hasUsage ? PASSED : notApplicable("the engine gives no completion_usage; the frontend counts tokens itself");
}

async function logProbs(bench: Bench): Promise<Outcome> {
  const { reading, fault } = await ask(bench, { logprobs: 2 });
  if (fault !== null) return fault;
  const hasAny = reading.chunks.some((chunk) => (chunk.log_probs ?? chunk.top_logprobs ?? null) !== null);
  return hasAny ? PASSED : notApplicable("the engine gives no log-probabilities when asked for them");
}

/** Prompts and limits differ, so that state which leaks from one stream into another shows as a wrong count. */
async function concurrentGenerates(bench: Bench): Promise<Outcome> {
  const wishes = Array.from({ length: CONCURRENT }, (_, i): Wish => ({
    promptTokens: i + 1,
    ...(bench.role === "prefill" ? {} : { maxTokens: i + 1 }),
  }));
  const answers = await Promise.all(wishes.map((wish) => ask(bench, wish)));
  for (const [i, { fault }] of answers.entries()) {
    if (fault === null) continue;
    const what = `stream ${i + 1} of ${CONCURRENT} at once: ${fault.failure}: ${fault.message}`;
    return failed("ConcurrentGenerateFailed", what);
  }
  return PASSED;
}

/** Cancels a long request at a moment that `arrange` picks. */
async function cancelled(
  bench: Bench,
  notObserved: ConformanceFailure,
  arrange: (probe: StreamProbe, run: () => Promise<Reading>) => Promise<Reading>,
): Promise<{ readonly reading: Reading; readonly fault: Outcome | null }> {
  const probe = new StreamProbe(bench, requestFor(bench, { maxTokens: LONG_MAX_TOKENS }));
  const reading = await arrange(probe, () => probe.run(bench.limitMs));
  const limit = inSeconds(CANCEL_LIMIT_MS);
  if (reading.end === "late") {
    return { reading, fault: failed(notObserved, `the stream went on for ${limit} after it was cancelled`) };
  }
  if (reading.abortThrown !== null) {
    return { reading, fault: failed("AbortFailed", `abort threw: ${describe(reading.abortThrown.error)}`) };
  }
  const violation = reading.violations.find(({ kind }) => kind !== "NoTerminalChunk");
  if (violation !== undefined) {
    return { reading, fault: failed(violation.kind, `after a cancel, ${violation.message}`) };
  }
  if (reading.end !== "threw") return { reading, fault: null };
  const what = `a cancelled stream threw instead of ending with a chunk that says so: ${describe(reading.thrown)}`;
  return { reading, fault: failed("StreamYieldedError", what) };
}

/** @source dynamo-backend-common 1.6.1, `check_cancellation`: cancelled before the first poll, so speed does not matter */
async function cancellation(bench: Bench): Promise<Outcome> {
  const { reading, fault } = await cancelled(bench, "CancellationNotObserved", (probe, run) => {
    probe.cancel(CANCEL_LIMIT_MS);
    return run();
  });
  if (fault !== null) return fault;
  if (reading.chunks.length === 0) return failed("NoChunksYielded", "a cancelled stream owes a chunk that says so");
  if (reading.finishReason === "cancelled") return PASSED;
  const reason = JSON.stringify(reading.finishReason);
  return failed(
    "CancellationIgnored",
    `the last chunk of a cancelled stream has finish_reason ${reason}, not cancelled`,
  );
}

async function beforeFirstToken(bench: Bench): Promise<Outcome> {
  const { fault } = await cancelled(bench, "CancellationBeforeFirstTokenNotObserved", (probe, run) => {
    const reading = run();
    // The engine has run up to its first wait.
    probe.cancel(CANCEL_LIMIT_MS);
    return reading;
  });
  return fault ?? PASSED;
}

async function midStream(bench: Bench): Promise<Outcome> {
  let hasBegun = false;
  const { fault } = await cancelled(bench, "CancellationMidStreamNotObserved", (probe, run) => {
    probe.onFirstTokens = () => {
      hasBegun = true;
      probe.cancel(CANCEL_LIMIT_MS);
    };
    return run();
  });
  return hasBegun ? fault ?? PASSED : notApplicable("the stream brought no token that a cancel could follow");
}

const TOKENS_ONLY: readonly ["encode"] = ["encode"];

/** The checks, in order. */
export const STREAM_CHECKS: readonly Check[] = [
  { name: "generate", needs: ["start"], run: generate },
  { name: "max_tokens", needs: ["generate"], notFor: TOKENS_ONLY, run: maxTokens },
  { name: "usage", needs: ["generate"], notFor: TOKENS_ONLY, run: usage },
  { name: "log_probs", needs: ["generate"], notFor: TOKENS_ONLY, run: logProbs },
  { name: "concurrent_generates", needs: ["generate", "max_tokens", "usage"], run: concurrentGenerates },
  { name: "cancellation", needs: ["generate"], run: cancellation },
  { name: "cancellation_before_first_token", needs: ["cancellation"], run: beforeFirstToken },
  { name: "cancellation_mid_stream", needs: ["cancellation"], notFor: TOKENS_ONLY, run: midStream },
];
