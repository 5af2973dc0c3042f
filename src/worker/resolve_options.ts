/**
 * From what was given to complete settings.
 *
 * @module
 */
import type { OptionValues } from "../engine/option.ts";
import { LEASE_SECONDS } from "./backends.ts";
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
  const values = settled.discoveryBackend === "mem"
    ? resolveRows(WORKER_OPTIONS, given, env, { ...defaults, ...MEM_DEFAULTS })
    : settled;
  checkBlockedExit(values);
  const { structuralTag: setting, ...others } = values as WorkerOptions;
  const structuralTag = setting === undefined ? undefined : parseStructuralTag(setting);
  return {
    ...others,
    ...(structuralTag === undefined ? {} : { structuralTag }),
    graceSeconds: Math.max(0, values.graceSeconds as number),
    ...endpointOf(values),
  } as ResolvedWorkerOptions;
}

/** A process that ends while its records live is one that frontends go on calling. */
function checkBlockedExit({ blockedExitSeconds: limit, discoveryBackend }: OptionValues): void {
  const lease = LEASE_SECONDS[discoveryBackend as keyof typeof LEASE_SECONDS] ?? 0;
  if (limit === 0 || (limit as number) > lease) return;
  throw new UsageError(
    `STATOR_BLOCKED_EXIT_SECS: ${limit} is neither 0 nor more than ${lease}, the seconds that records of ` +
      `${discoveryBackend} discovery outlive a blocked worker`,
  );
}
