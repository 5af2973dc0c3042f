/**
 * Paths of the Deno and Bun executables, also where neither is on the `PATH`.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { run } from "./processes.ts";

/** A runtime that Stator supports. */
export type Runtime = "deno" | "bun";

/** Arguments that make a runtime run a program. */
export const RUN: Readonly<Record<Runtime, readonly string[]>> = { deno: ["run", "-A", "--quiet"], bun: ["run"] };

/** The runtime this test runs on. */
export const CURRENT: Runtime = "Bun" in globalThis ? "bun" : "deno";

/** The runtime that workers under test run on: `STATOR_RUNTIME`, else the one of the test. */
export function runtimeUnderTest(): Runtime {
  const wanted = process.env.STATOR_RUNTIME ?? CURRENT;
  if (wanted !== "deno" && wanted !== "bun") throw new RangeError(`Cannot use STATOR_RUNTIME=${wanted}: deno or bun`);
  return wanted;
}

const PRINT_PATH: Readonly<Record<Runtime, readonly string[]>> = {
  deno: ["deno@2", "eval", "console.log(Deno.execPath())"],
  bun: ["bun@1", "-e", "console.log(process.execPath)"],
};

const found = new Map<Runtime, Promise<string>>();

/** Path of a runtime's executable: this process, or one on the `PATH`, or the npm package's. */
export function executable(runtime: Runtime): Promise<string> {
  if (runtime === CURRENT) return Promise.resolve(process.execPath);
  const known = found.get(runtime) ?? locate(runtime);
  found.set(runtime, known);
  return known;
}

async function locate(runtime: Runtime): Promise<string> {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const onPath = folders.map((folder) => join(folder, runtime)).find((path) => existsSync(path));
  if (onPath !== undefined) return onPath;
  // npx itself would stand between us and the process, and signals would reach only npx.
  const args = ["-y", ...PRINT_PATH[runtime]];
  const asked = await run({ name: `npx ${runtime}`, executable: "npx", args, env: {} }, 180_000);
  const path = asked.stdout.trim().split("\n").at(-1) ?? "";
  if (asked.code !== 0 || !existsSync(path)) throw new Error(`Cannot find ${runtime}: ${asked.output}`);
  return path;
}
