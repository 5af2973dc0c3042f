/**
 * From what was given to complete settings.
 *
 * @module
 */
import type { OptionValues } from "../engine/option.ts";
import { leaseSeconds } from "./backends.ts";
import { resolveRows, UsageError } from "./command_line.ts";
import { endpointOf } from "./endpoint_option.ts";
import { WORKER_OPTIONS } from "./option_rows.ts";
import type { ResolvedWorkerOptions, WorkerOptions } from "./options.ts";
import { parseStructuralTag } from "./structural_tag.ts";

/** A worker on `mem` discovery is one under development: nobody routes to it, and its engine's mistakes should show. */
const MEM_DEFAULTS: OptionValues = { graceSeconds: 0, validate: "throw" };

/**
 * Completes settings: what is given, then the environment, then the defaults.
 *
 * @throws {UsageError} If a value of the environment or the structural tag cannot be parsed, or values do not fit
 * together.
 */
export function resolveOptions(
  given: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
  defaults: OptionValues = {},
): ResolvedWorkerOptions {
  const settled = resolveRows(WORKER_OPTIONS, given, env, defaults);
  const values = resolveRows(WORKER_OPTIONS, given, env, { ...defaults, ...backendDefaults(settled) });
  checkBlockedExit(values);
  checkNumWorkers(values);
  const { structuralTag: setting, ...others } = values as WorkerOptions;
  const structuralTag = setting === undefined ? undefined : parseStructuralTag(setting);
  return {
    ...others,
    ...(structuralTag === undefined ? {} : { structuralTag }),
    graceSeconds: Math.max(0, values.graceSeconds as number),
    ...endpointOf(values),
  } as ResolvedWorkerOptions;
}

/** What is a matter of the discovery backend where nobody has said otherwise. */
function backendDefaults(settled: OptionValues): OptionValues {
  if (settled.discoveryBackend === "mem") return MEM_DEFAULTS;
  const lease = leaseSeconds(settled);
  return lease < (settled.blockedExitSeconds as number) ? {} : { blockedExitSeconds: 2 * lease };
}

/** Who a worker is in a cluster follows from its pod, so that there is one. */
function checkNumWorkers({ numWorkers: count, discoveryBackend }: OptionValues): void {
  if (discoveryBackend !== "kubernetes" || count === 1) return;
  throw new UsageError(
    `--num-workers ${count}: with kubernetes discovery a pod is one worker; run as many pods, or use another ` +
      "--discovery-backend",
  );
}

/** A process that ends while its records live is one that frontends go on calling. */
function checkBlockedExit(values: OptionValues): void {
  const { blockedExitSeconds: limit, discoveryBackend } = values;
  const lease = leaseSeconds(values);
  if (limit === 0 || (limit as number) > lease) return;
  throw new UsageError(
    `STATOR_BLOCKED_EXIT_SECS: ${limit} is neither 0 nor more than ${lease}, the seconds that records of ` +
      `${discoveryBackend} discovery outlive a blocked worker`,
  );
}
