/**
 * The part that a worker plays in serving, by its flags.
 *
 * @module
 */
import { type OptionValues, UsageError } from "@stator/worker";
import type { WorkerRole } from "../args.ts";

/** Dynamo's older flags for a role. */
const OLD_FLAGS = { prefill: "isPrefillWorker", decode: "isDecodeWorker" } as const;
const DEFAULT_MODE = "agg";

/**
 * The default of `--disaggregation-mode`, which the older flags change.
 *
 * @param values Those of an operator, so that anything but the common default was set.
 * @throws {UsageError} If two flags name a role.
 */
export function defaultMode(values: OptionValues): string {
  const mode = values.disaggregationMode as string;
  const old = oldRole(values);
  if (old === undefined) return mode;
  if (mode !== DEFAULT_MODE) throw contradiction(old, mode);
  return old;
}

/** The role, in the words of engine arguments. @throws {UsageError} If flags contradict each other, or there is none. */
export function roleOf(values: OptionValues): WorkerRole {
  const mode = values.disaggregationMode as string | undefined ?? DEFAULT_MODE;
  const old = oldRole(values);
  if (old !== undefined && old !== mode) throw contradiction(old, mode);
  if (mode === "prefill" || mode === "decode") return mode;
  if (mode === DEFAULT_MODE || mode === "aggregated") return "aggregated";
  throw new UsageError(`The mock engine cannot be an ${mode} worker: choose agg, prefill or decode`);
}

function oldRole(values: OptionValues): keyof typeof OLD_FLAGS | undefined {
  const roles = (["prefill", "decode"] as const).filter((role) => values[OLD_FLAGS[role]] === true);
  if (roles.length < 2) return roles[0];
  throw new UsageError("--is-prefill-worker and --is-decode-worker: a worker is one of them at most");
}

function contradiction(role: string, mode: string): UsageError {
  return new UsageError(`--is-${role}-worker and --disaggregation-mode ${mode}: give only --disaggregation-mode`);
}
