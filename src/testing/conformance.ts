/**
 * The conformance kit: whether an engine keeps the worker contract, as data.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { Clock } from "../platform/platform.ts";
import { realPlatform } from "../platform/real.ts";
import { type Bench, type Check, type ConformanceRole, notApplicable } from "./conformance_bench.ts";
import {
  assertConformance,
  type CheckResult,
  type ConformanceCheck,
  type ConformanceReport,
} from "./conformance_report.ts";
import { EARLY_RETURN_CHECK } from "./early_return_check.ts";
import { createKitTime } from "./kit_time.ts";
import { END_CHECKS, START_CHECKS } from "./lifecycle_checks.ts";
import { STREAM_CHECKS } from "./stream_checks.ts";

/** Settings of {@linkcode runConformance}. */
export interface ConformanceOptions {
  /** The engine's part in serving, which decides what requests it gets. @default "agg" */
  readonly role?: ConformanceRole;
  /**
   * Members for every request, such as the `prefill_result` that a decode engine wants; they replace the kit's own.
   *
   * @default none
   */
  readonly request?: Readonly<Record<string, unknown>>;
  /**
   * How long the kit waits for each call and each stream, in real time. A cancelled stream has 2 seconds of the engine's
   * time to end, whatever this says.
   *
   * @unit seconds
   * @default 30
   */
  readonly timeoutSeconds?: number;
  /**
   * Keeps `ctx.clock` in step with the real time. Otherwise it skips waits, which suits engines that wait by nothing
   * else; turn this on for an engine that also waits for a server, a process or timers of its own.
   *
   * @default false
   */
  readonly realTime?: boolean;
  /** Throws a `ConformanceError` when a check fails. @default false */
  readonly throw?: boolean;
}

const CHECKS: readonly Check[] = [...START_CHECKS, ...STREAM_CHECKS, EARLY_RETURN_CHECK, ...END_CHECKS];

/**
 * Runs an engine through the worker contract and reports how each check ended.
 *
 * One engine goes through its whole life; a second one is only cleaned up, never started. A check that needs another
 * one which failed is reported as not applicable, so that one mistake shows once. An engine that hangs fails by name.
 *
 * @param factory Makes an engine, a new one each time it is called.
 * @throws {ConformanceError} If a check failed and `options.throw` is set.
 * @source dynamo-backend-common 1.6.1, `testing.rs`, `run_conformance` and `run_encode_conformance`
 * @example
 * ```ts
 * import { sampleEngine } from "@stator/worker/engines/sample";
 * import { assertConformance, runConformance } from "@stator/worker/testing";
 *
 * // The same line is a whole test: test("keeps the contract", async () => assertConformance(await runConformance(…)));
 * assertConformance(await runConformance(() => sampleEngine()));
 * ```
 */
export function runConformance(
  factory: () => Engine | Promise<Engine>,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  return runConformanceOn(realPlatform.clock, factory, options);
}

/** {@linkcode runConformance} on another clock. */
export async function runConformanceOn(
  clock: Clock,
  factory: () => Engine | Promise<Engine>,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const { role = "agg", request = {}, timeoutSeconds = 30, realTime = false } = options;
  using time = createKitTime(clock, realTime);
  const limitMs = 1000 * timeoutSeconds;
  const bench: Bench = { factory, role, members: request, time, limitMs, engine: null, config: null };
  const checks: CheckResult[] = [];
  const unmet = new Set<ConformanceCheck>();
  for (const check of CHECKS) {
    const begin = time.now();
    const obstacle = check.needs?.find((name) => unmet.has(name));
    const outcome = obstacle !== undefined
      ? notApplicable(`not run, since ${obstacle} did not pass`)
      : check.notFor?.includes(role)
      ? notApplicable(`it says nothing about an ${role} worker`)
      : await check.run(bench);
    if (obstacle !== undefined || outcome.status === "failed") unmet.add(check.name);
    checks.push({ name: check.name, ...outcome, durationMs: time.now() - begin });
  }
  const report = { ok: checks.every(({ status }) => status !== "failed"), role, checks };
  if (options.throw === true) assertConformance(report);
  return report;
}
