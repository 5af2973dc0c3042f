/**
 * From settings to a canary.
 *
 * @module
 */
import type { EngineClock } from "../engine/context.ts";
import type { Engine } from "../engine/engine.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../platform/platform.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import { Canary } from "./canary.ts";
import { resolvePayload, type SetPayload } from "./canary_payload.ts";
import { createProbe, type EngineRun } from "./canary_probe.ts";

/** Settings of the canary; worker options hold them. */
export interface HealthCheckOptions {
  /** Whether there is to be one. @env DYN_HEALTH_CHECK_ENABLED */
  readonly healthCheckEnabled: boolean;
  /** Time without activity before a probe. @unit seconds @env DYN_CANARY_WAIT_TIME */
  readonly canaryWaitSeconds: number;
  /** Time a probe may take. @unit seconds @env DYN_HEALTH_CHECK_REQUEST_TIMEOUT */
  readonly healthCheckTimeoutSeconds: number;
}

/** What {@linkcode openCanary} works with. */
export interface CanaryParts {
  /** Settings. */
  readonly options: HealthCheckOptions;
  /** What operators want to be sent, if they said; see `readSetPayload`. */
  readonly setPayload: SetPayload | null;
  /** The engine, started. */
  readonly engine: Engine;
  /** The worker's part in serving. */
  readonly role: WorkerType;
  /** Time. */
  readonly clock: Clock;
  /** Time for engines. */
  readonly engineClock: EngineClock;
  /** Log of the engine. */
  readonly engineLog: Log;
  /** Log. */
  readonly log: Log;
  /** The way to the engine. @default its `generate` */
  readonly run?: EngineRun;
}

/** Makes a canary, not started; `null` if it is off, or there is nothing to send. */
export function openCanary(parts: CanaryParts): Canary | null {
  const { options, setPayload, engine, role, clock, engineClock, engineLog, log, run } = parts;
  if (!options.healthCheckEnabled) return null;
  const payload = resolvePayload(setPayload, engine, log);
  if (payload === null) {
    log.info("No health check canary: there is no payload to send");
    return null;
  }
  // An encode worker answers with a result for others to read, not with tokens.
  const needsToken = role !== "encode";
  const way = run === undefined ? {} : { run };
  return new Canary({
    clock,
    log,
    probe: createProbe({ engine, payload, clock: engineClock, engineLog, log, needsToken, ...way }),
    waitSeconds: options.canaryWaitSeconds,
    timeoutSeconds: options.healthCheckTimeoutSeconds,
  });
}
