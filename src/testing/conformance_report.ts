/**
 * What the conformance kit found, as data and as text.
 *
 * @module
 */
import type { ViolationKind } from "../pipeline/validate.ts";

export type { ViolationKind };

/**
 * The ways to fail the kit.
 *
 * The names up to `EncoderResultExpectedObject` are the reference kit's; those that follow, and the
 * {@linkcode ViolationKind}s it does not have, are checks of ours.
 *
 * @source dynamo-backend-common 1.6.1, `testing.rs`, `ConformanceFailure`
 */
export type ConformanceFailure =
  | "StartFailed"
  | "EmptyModelInConfig"
  | "KvEventSourcesFailed"
  | "KvEventSourcesNotIdempotent"
  | "SetupMetricsFailed"
  | "ComponentMetricsNotIdempotent"
  | "GenerateFailed"
  | "NoChunksYielded"
  | "StreamYieldedError"
  | "ChunkAfterTerminal"
  | "NoTerminalChunk"
  | "CompletionTokensMismatch"
  | "ConcurrentGenerateFailed"
  | "CancellationNotObserved"
  | "CancellationIgnored"
  | "CleanupFailed"
  | "SecondCleanupFailed"
  | "CleanupWithoutStartFailed"
  | "EncodeChunkCount"
  | "EncodeTerminalExpected"
  | "EncodeTokensNotEmpty"
  | "EncodeUsageMismatch"
  | "EncoderResultExpectedObject"
  | "StreamLeftOpen"
  | "CancellationBeforeFirstTokenNotObserved"
  | "CancellationMidStreamNotObserved"
  | "AbortFailed"
  | "EarlyReturnFailed"
  | "EarlyReturnIgnored"
  | "EarlyReturnNotObserved"
  | "EarlyReturnLeaked"
  | "DrainFailed"
  | "ForwardPassesFailed"
  | ViolationKind;

/** The checks, in the order in which they run. */
export type ConformanceCheck =
  | "start"
  | "kv_event_sources"
  | "component_metrics"
  | "forward_passes"
  | "generate"
  | "max_tokens"
  | "usage"
  | "log_probs"
  | "concurrent_generates"
  | "cancellation"
  | "cancellation_before_first_token"
  | "cancellation_mid_stream"
  | "early_return"
  | "drain"
  | "cleanup"
  | "second_cleanup"
  | "cleanup_without_start";

/** How one check ended. */
export interface CheckResult {
  /** Which check. */
  readonly name: ConformanceCheck;
  /** How it ended; a check that needs another one which failed does not apply either. */
  readonly status: "passed" | "failed" | "not_applicable";
  /** The failure; `null` unless it failed. */
  readonly failure: ConformanceFailure | null;
  /** What was seen, or why the check does not apply; empty if it passed. */
  readonly message: string;
  /** Time it really took. @unit milliseconds */
  readonly durationMs: number;
}

/** What the kit found. */
export interface ConformanceReport {
  /** Whether no check failed. */
  readonly ok: boolean;
  /** The part the engine was tested in. */
  readonly role: string;
  /** Every check, in order. */
  readonly checks: readonly CheckResult[];
}

/** An engine that failed the kit. Its message lists the failures. */
export class ConformanceError extends Error {
  /** Everything that was found. */
  readonly report: ConformanceReport;

  /** Makes an error. */
  constructor(report: ConformanceReport) {
    const failures = report.checks.filter(({ status }) => status === "failed");
    const lines = failures.map(({ name, failure, message }) => `${name}: ${failure}: ${message}`);
    super(`Engine does not keep the contract (${report.role}): ${lines.join("; ")}`);
    this.name = "ConformanceError";
    this.report = report;
  }
}

/** Throws unless every check passed or does not apply. @throws {ConformanceError} If one failed. */
export function assertConformance(report: ConformanceReport): void {
  if (!report.ok) throw new ConformanceError(report);
}
