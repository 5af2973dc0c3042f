/**
 * From what was given to complete settings.
 *
 * @module
 */
import type { OptionValues } from "../engine/option.ts";
import { resolveRows } from "./command_line.ts";
import { WORKER_OPTIONS } from "./option_rows.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

/**
 * Completes settings: what is given, then the environment, then the defaults.
 *
 * @throws {UsageError} If a value of the environment cannot be parsed.
 */
export function resolveOptions(
  given: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
  defaults: OptionValues = {},
): ResolvedWorkerOptions {
  const values = resolveRows(WORKER_OPTIONS, given, env, defaults);
  const isMem = values.discoveryBackend === "mem";
  const isGraceSet = given.graceSeconds !== undefined || (env.DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS ?? "") !== "";
  const grace = isMem && !isGraceSet ? 0 : Math.max(0, values.graceSeconds as number);
  const suffix = values.namespaceSuffix === undefined ? "" : `-${values.namespaceSuffix}`;
  return { ...values, graceSeconds: grace, namespace: `${values.namespace}${suffix}` } as ResolvedWorkerOptions;
}
