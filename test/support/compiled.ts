/**
 * Executables that `stator compile` makes, on Bun: Deno's base program is not everywhere to be had.
 *
 * @module
 */
import assert from "node:assert/strict";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { REPOSITORY } from "./peers.ts";
import { type Child, type Exit, run, start } from "./processes.ts";
import { CURRENT, executable, RUN } from "./runtimes.ts";

/** How long making an executable may take. @unit milliseconds */
const COMPILE_MS = 180_000;

/** What {@linkcode stator} ended with. */
export type StatorEnd = Exit & { readonly stdout: string; readonly output: string };

/** Runs a subcommand of this checkout in a folder. */
export async function stator(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<StatorEnd> {
  // As where both are installed: the tools are found by name.
  const folders = await Promise.all((["deno", "bun"] as const).map(async (name) => dirname(await executable(name))));
  return await run({
    name: `stator ${args[0]}`,
    executable: await executable(CURRENT),
    args: [...RUN[CURRENT], join(REPOSITORY, "main.ts"), ...args],
    env: { PATH: [...folders, process.env.PATH].join(delimiter), ...env },
    cwd,
  }, COMPILE_MS);
}

/** Compiles a file of an author, or Stator itself; fails the test if there is no executable. */
export async function compileOnBun(source: string | null, output: string, cwd: string): Promise<StatorEnd> {
  const file = source === null ? [] : [source];
  const end = await stator(["compile", ...file, "--runtime", "bun", "-o", output], cwd);
  assert.equal(end.code, 0, end.output);
  return end;
}

/** Starts an executable with no runtime on its `PATH`, in a folder, with a `HOME` that is that folder. */
export function startExecutable(
  file: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Child {
  const alone = { PATH: "/nonexistent", HOME: cwd, ...env };
  return start({ name: "executable", executable: file, args, env: alone, cwd });
}
