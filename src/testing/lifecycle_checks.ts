/**
 * Checks of everything but `generate`.
 *
 * @module
 */
import { SILENT } from "../observe/log.ts";
import {
  type Bench,
  type Check,
  describe,
  failed,
  inSeconds,
  notApplicable,
  type Outcome,
  PASSED,
} from "./conformance_bench.ts";
import type { ConformanceFailure } from "./conformance_report.ts";
import { within } from "./kit_time.ts";
import { componentMetrics, forwardPasses, kvEventSources } from "./rank_checks.ts";

/** The worker id engines are started with. @source dynamo-backend-common 1.6.1, `testing.rs`: `start(0)` */
const WORKER_ID = 0n;

async function start(bench: Bench): Promise<Outcome> {
  const { factory, limitMs, time } = bench;
  const made = await within(time.patience, limitMs, factory);
  if (made.kind === "late") return failed("StartFailed", `the factory made no engine within ${inSeconds(limitMs)}`);
  if (made.kind === "threw") return failed("StartFailed", `the factory threw: ${describe(made.error)}`);
  bench.engine = made.value;
  const stop = new AbortController();
  const started = await within(
    time.patience,
    limitMs,
    () => made.value.start(WORKER_ID, stop.signal, { clock: time.engineClock, log: SILENT }),
  );
  if (started.kind === "late") {
    stop.abort();
    return failed("StartFailed", `start did not finish within ${inSeconds(limitMs)}`);
  }
  if (started.kind === "threw") return failed("StartFailed", `start threw: ${describe(started.error)}`);
  bench.config = started.value ?? null;
  const model: unknown = bench.config?.model;
  if (typeof model !== "string" || model === "") {
    return failed("EmptyModelInConfig", "start returned a config without a model name");
  }
  return PASSED;
}

async function drain({ engine, limitMs, time }: Bench): Promise<Outcome> {
  if (engine?.drain === undefined) return notApplicable("the engine has no drain");
  const control = new AbortController();
  const drained = await within(time.patience, limitMs, () => engine.drain!(control.signal));
  control.abort();
  if (drained.kind === "done") return PASSED;
  const what = drained.kind === "late"
    ? `did not finish within ${inSeconds(limitMs)}`
    : `threw: ${describe(drained.error)}`;
  return failed("DrainFailed", `drain of an idle engine ${what}`);
}

async function clean(bench: Bench, failure: ConformanceFailure, which: string): Promise<Outcome> {
  const { engine, limitMs, time } = bench;
  if (engine === null) return notApplicable("there is no engine");
  const cleaned = await within(time.patience, limitMs, () => engine.cleanup());
  if (cleaned.kind === "done") return PASSED;
  const what = cleaned.kind === "late"
    ? `did not finish within ${inSeconds(limitMs)}`
    : `threw: ${describe(cleaned.error)}`;
  return failed(failure, `${which} ${what}`);
}

/** A worker cleans up after a failed start too, so `cleanup` must cope with nothing being there. */
async function cleanupWithoutStart(bench: Bench): Promise<Outcome> {
  const { engine, factory, limitMs, time } = bench;
  if (engine === null) return notApplicable("there is no engine");
  const failure = "CleanupWithoutStartFailed";
  const made = await within(time.patience, limitMs, factory);
  if (made.kind === "late") return failed(failure, `the factory made no second engine within ${inSeconds(limitMs)}`);
  if (made.kind === "threw") return failed(failure, `the factory threw the second time: ${describe(made.error)}`);
  if (made.value === engine) {
    return failed(failure, "the factory returned the same engine twice; it has to make a new one");
  }
  return await clean({ ...bench, engine: made.value }, failure, "cleanup of an engine that was never started");
}

/** The checks before the first request. */
export const START_CHECKS: readonly Check[] = [
  { name: "start", run: start },
  { name: "kv_event_sources", needs: ["start"], run: kvEventSources },
  { name: "component_metrics", needs: ["start"], run: componentMetrics },
  { name: "forward_passes", needs: ["start"], run: forwardPasses },
];

/** The checks after the last request. Cleanup is owed after a failed start too. */
export const END_CHECKS: readonly Check[] = [
  { name: "drain", needs: ["start"], run: drain },
  { name: "cleanup", run: (bench) => clean(bench, "CleanupFailed", "cleanup") },
  {
    name: "second_cleanup",
    needs: ["cleanup"],
    run: (bench) => clean(bench, "SecondCleanupFailed", "a second cleanup"),
  },
  { name: "cleanup_without_start", run: cleanupWithoutStart },
];
