/**
 * Versions.
 *
 * @module
 */

/** This package's version and the Dynamo version it is tested with; a test compares the first with `deno.json`. */
export const VERSION = { stator: "0.1.0", dynamo: "1.6.1" } as const;

/** What `--version` prints. @param runtime Name and version of the runtime. */
export function formatVersion(runtime: string): string {
  return `stator ${VERSION.stator} (${runtime}; tested with Dynamo ${VERSION.dynamo})`;
}
