/**
 * How many requests a worker takes.
 *
 * @module
 */
import type { Metrics } from "../observe/metrics.ts";
import { TimedAdmission } from "../pipeline/timed_admission.ts";
import type { Clock } from "../platform/platform.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

/** Makes the places of a worker, by the engine's limit if it has one, and shows them in its metrics. */
export function createAdmission(options: ResolvedWorkerOptions, metrics: Metrics, clock: Clock): TimedAdmission {
  const { engineRequestLimit, requestQueueLimit, workerPoolSize, workQueueSize } = options;
  const admission = engineRequestLimit === undefined
    ? new TimedAdmission(workerPoolSize, workQueueSize, clock)
    : new TimedAdmission(engineRequestLimit, requestQueueLimit, clock);
  metrics.bindAdmission(() => {
    const { active, queued, capacity, queueCapacity } = admission.load;
    return { active, queued, capacity, queueCapacity, engineRequests: active, requestQueue: queued };
  });
  return admission;
}
