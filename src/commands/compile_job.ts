/**
 * What `stator compile` is to make, of what, with what.
 *
 * @module
 */
import type { Files, ProgramEnd, Programs } from "../platform/platform.ts";
import { type CompileRuntime, runTool } from "./compile_runtime.ts";
import type { PackageFiles } from "./package_files.ts";

/** Why nothing came of it; the first line of its message says what failed, the others what a tool said. */
export class CompileError extends Error {
  /** Makes an error. @param output What a tool printed. */
  constructor(what: string, output = "") {
    const said = plainText(output).replace(/^Stack backtrace:[\s\S]*/m, "");
    const lines = said.split("\n").filter((line) => line.trim() !== "");
    super([what, ...lines.slice(-12).map((line) => `  ${line}`)].join("\n"));
    this.name = "CompileError";
  }
}

/** One run of the command. Paths are absolute. */
export interface CompileJob {
  readonly files: Files;
  readonly programs: Programs;
  readonly print: (line: string) => void;
  readonly runtime: CompileRuntime;
  /** Kind of machine, if one was named. */
  readonly target: string | null;
  /** Whether this machine can run what is made. */
  readonly runsHere: boolean;
  readonly own: PackageFiles;
  /** The author's file; `null` stands for Stator itself. */
  readonly source: string | null;
  readonly output: string;
  /** A new name in a folder; a file of that name is removed at the end. */
  readonly temporary: (folder: string, suffix: string) => string;
}

/** Runs the tool of the job's runtime in a folder. */
export function runJobTool(
  { programs, runtime }: CompileJob,
  args: readonly string[],
  more: { readonly cwd: string; readonly timeoutMs?: number },
): Promise<ProgramEnd> {
  return runTool(programs, runtime, args, more);
}

/** Writes a file. @throws {CompileError} If the folder does not take it. */
export async function writeText(files: Files, path: string, text: string): Promise<void> {
  try {
    await files.makeDirectory(folderOf(path));
    await files.write(path, new TextEncoder().encode(text));
  } catch (error) {
    throw new CompileError(`Cannot write to the folder ${folderOf(path)}: ${(error as Error).message}`);
  }
}

/** Whether there is a file, not a folder. */
export async function isFile(files: Files, path: string): Promise<boolean> {
  const info = await files.stat(path).catch(() => null);
  return info !== null && !info.isDirectory;
}

/** The folder of an absolute path. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Text without colours. */
export function plainText(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}

/** A size for people. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 3 : 1)} MB`;
}
