/**
 * Where a worker serves, by its options.
 *
 * @module
 */
import type { OptionValues } from "../engine/option.ts";
import type { EndpointName } from "../protocol/record.ts";
import { UsageError } from "./command_line.ts";

/** Begins an endpoint with its component and its namespace. */
const SCHEME = "dyn://";

/**
 * The endpoint that the options name. A whole one, `dyn://<namespace>.<component>.<endpoint>`, stands for all three, and
 * the suffix of the namespace is not appended to it.
 *
 * @throws {UsageError} If it is not whole.
 */
export function endpointOf(values: OptionValues): EndpointName {
  const { namespace, namespaceSuffix, component, endpoint } = values as Record<string, string>;
  if (!endpoint!.startsWith(SCHEME)) {
    const suffix = namespaceSuffix === undefined ? "" : `-${namespaceSuffix}`;
    return { namespace: `${namespace}${suffix}`, component: component!, endpoint: endpoint! };
  }
  const parts = endpoint!.slice(SCHEME.length).split(".");
  if (parts.length !== 3 || parts.includes("")) {
    throw new UsageError(`--endpoint: ${JSON.stringify(endpoint)} is not ${SCHEME}<namespace>.<component>.<endpoint>`);
  }
  return { namespace: parts[0]!, component: parts[1]!, endpoint: parts[2]! };
}
