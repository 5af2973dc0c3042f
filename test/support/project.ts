/**
 * A project that `stator create` laid out, and what is installed into it.
 *
 * @module
 */
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { REPOSITORY } from "./peers.ts";
import { type Command, run } from "./processes.ts";
import { executable, RUN, type Runtime } from "./runtimes.ts";

/** Longest time for one command, which may have to download packages. @unit milliseconds */
const TIME = 180_000;

/** How a runtime installs packages, and runs a script of the project. */
const TOOLS: Readonly<Record<Runtime, { install: readonly string[]; script: readonly string[] }>> = {
  deno: { install: ["npm", "install", "--no-audit", "--no-fund"], script: ["deno", "task"] },
  bun: { install: ["bun", "install"], script: ["bun", "run"] },
};

/** A project. */
export interface Project {
  readonly path: string;
  readonly runtime: Runtime;
  /** Installs what its manifest asks for. */
  install(): Promise<string>;
  /** Runs one of its scripts; resolves to what that printed. */
  script(name: string): Promise<string>;
}

/** Packs this repository into a tarball of the package, and copies that into a folder. */
export async function packTarball(folder: string): Promise<string> {
  const args = ["task", "--quiet", "pack"];
  const printed = await succeed({ name: "pack", executable: await executable("deno"), args, env: {}, cwd: REPOSITORY });
  const path = join(folder, "stator-worker.tgz");
  copyFileSync(printed.trim().split("\n").at(-1)!, path);
  return path;
}

/** Lays a project out in a folder, by the command under test. */
export async function createProject(
  runtime: Runtime,
  folder: string,
  name: string,
  tarball: string,
): Promise<Project> {
  const args = [...RUN[runtime], join(REPOSITORY, "main.ts"), "create", name, "--package", tarball];
  await succeed({ name: "stator create", executable: await executable(runtime), args, env: {}, cwd: folder });
  const path = join(folder, name);
  const env = { PATH: [await shelf(folder, runtime), process.env.PATH].join(delimiter) };
  const inside = async ([program = "", ...args]: readonly string[]) => {
    const known = program === "npm" ? program : await executable(program as Runtime);
    return await succeed({ name: [program, ...args].join(" "), executable: known, args, env, cwd: path });
  };
  const { install, script } = TOOLS[runtime];
  return {
    path,
    runtime,
    install: () => inside(install),
    script: (name) => inside([...script, name]),
  };
}

/** A folder for `PATH` that holds the runtime under its own name, since a project's scripts call it by that. */
async function shelf(folder: string, runtime: Runtime): Promise<string> {
  const path = join(folder, "bin");
  mkdirSync(path, { recursive: true });
  const link = join(path, runtime);
  if (!existsSync(link)) symlinkSync(await executable(runtime), link);
  return path;
}

/** Runs a command that has to succeed; resolves to what it printed. */
async function succeed(command: Command): Promise<string> {
  const env = { ...command.env, NO_COLOR: "1", HOME: process.env.HOME ?? "/" };
  const { code, output } = await run({ ...command, env }, TIME);
  if (code !== 0) throw new Error(`${command.name} ended with code ${code}:\n${output}`);
  return output;
}
