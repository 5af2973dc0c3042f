/**
 * The runtimes this package runs on. What stands here, and what it imports, has to be parsed by those it does not run on.
 *
 * @module
 */
import process from "node:process";

/** The oldest versions on which workers pass their tests; `engines` of `package.json` says the same. */
export const OLDEST = { deno: "2.9.0", bun: "1.4.0" } as const;

/**
 * What is wrong with a runtime, in one line that says what to do; `null` if nothing is known to be.
 *
 * @param runtime Name and version, such as `deno 2.9.6`.
 */
export function runtimeFault(runtime: string): string | null {
  const [name, version = ""] = runtime.split(" ");
  if (name === "node") {
    return `Stator does not run on Node (this is ${version}), but on Deno ${OLDEST.deno} or Bun ${OLDEST.bun} and later; ` +
      "get one of them with npx -y deno@2 or npx -y bun@1";
  }
  if ((name !== "deno" && name !== "bun") || !isOlder(version, OLDEST[name])) return null;
  const [title, npm] = name === "deno" ? ["Deno", "deno@2"] : ["Bun", "bun@1"];
  return `Stator needs ${title} ${
    OLDEST[name]
  } or later, this is ${version}; get it with ${name} upgrade, or npx -y ${npm}`;
}

function isOlder(version: string, oldest: string): boolean {
  const [have, want] = [numbers(version), numbers(oldest)];
  const at = want.findIndex((number, i) => have[i] !== number);
  return at >= 0 && (have[at] ?? 0) < (want[at] ?? 0);
}

/** The numbers of a version, without what tells builds of it apart. */
function numbers(version: string): number[] {
  return version.split(/[-+]/)[0]!.split(".").map(Number);
}

/** Name and version of the runtime of this process. */
export function runtimeName(): string {
  const { deno, bun, node } = process.versions;
  return deno !== undefined ? `deno ${deno}` : bun !== undefined ? `bun ${bun}` : `node ${node}`;
}

/** Ends the process with code 2 and one line if it runs on what this package does not. */
export function requireRuntime(): void {
  const fault = runtimeFault(runtimeName());
  if (fault === null) return;
  process.stderr.write(fault + "\n");
  process.exit(2);
}
