/**
 * Makes an executable of a bundle and puts it in place once it has been seen to run.
 *
 * @module
 */
import type { ProgramEnd } from "../platform/platform.ts";
import { describeBundle, makeBundle } from "./bundle.ts";
import { CompileError, type CompileJob, folderOf, isFile, megabytes, plainText, runJobTool } from "./compile_job.ts";
import { TARGETS, TOOLS } from "./compile_runtime.ts";

/** How long a program may take to tell its version. @unit milliseconds */
const PROBE_MS = 60_000;

/** Does a job and tells of it. @throws {CompileError} If nothing that runs came of it; there is no file then. */
export async function compile(job: CompileJob): Promise<void> {
  const { print, source, output, target, runsHere } = job;
  const bundle = await makeBundle(job);
  // Also what is for another machine runs here as far as its code goes.
  const codeVersion = versionOf(
    await runBundle(job, bundle),
    `The code of ${source ?? "stator"}`,
    "; does the file export an engine, or hand its command line to serve()?",
  );
  print(await describeBundle(job, bundle));
  if (output.endsWith(".js")) return await putInPlace(job, bundle, codeVersion);
  const made = await makeExecutable(job, bundle);
  if (!runsHere) {
    return await putInPlace(job, made, `for ${target}, so not run; on this machine its code is ${codeVersion}`);
  }
  await putInPlace(job, made, versionOf(await runExecutable(job, made), "The executable"));
}

function runBundle(job: CompileJob, bundle: string): Promise<ProgramEnd> {
  const args = [...TOOLS[job.runtime].run(bundle), "--version"];
  return runJobTool(job, args, { cwd: folderOf(job.output), timeoutMs: PROBE_MS });
}

async function makeExecutable(job: CompileJob, bundle: string): Promise<string> {
  const { files, print, runtime, output, target, temporary } = job;
  const made = temporary(folderOf(output), output.endsWith(".exe") ? ".exe" : "");
  const order = { bundle, output: made, target: target === null ? null : TARGETS[target]!.names[runtime] };
  const end = await runJobTool(job, TOOLS[runtime].compile(order), { cwd: folderOf(output) });
  if (end.code !== 0 || !await isFile(files, made)) {
    const what = `Cannot make an executable for ${target ?? "this machine"}: ${runtime} has no base program for it`;
    throw new CompileError(`${what}, or could not load it`, end.output);
  }
  const listed = plainText(end.output).match(/Embedded Files[\s\S]*/)?.[0].replace(/\n\s*\n/g, "\n").trimEnd();
  if (listed !== undefined) print(listed);
  return made;
}

async function runExecutable({ programs, output }: CompileJob, file: string): Promise<ProgramEnd> {
  try {
    return await programs.run({ file, args: ["--version"], cwd: folderOf(output), timeoutMs: PROBE_MS });
  } catch (error) {
    return { code: null, stdout: "", output: (error as Error).message };
  }
}

/** What a program says to `--version`, if it is one of ours. */
function versionOf({ code, stdout, output }: ProgramEnd, what: string, advice = ""): string {
  const line = stdout.split("\n").find((text) => /^stator \d/.test(text));
  if (code === 0 && line !== undefined) return line.trimEnd();
  throw new CompileError(`${what} does not answer --version as a worker does (exit code ${code})${advice}`, output);
}

async function putInPlace({ files, print, output }: CompileJob, made: string, version: string): Promise<void> {
  try {
    await files.rename(made, output);
  } catch (error) {
    throw new CompileError(`Cannot write ${output}: ${(error as Error).message}`);
  }
  print(`${output}, ${megabytes((await files.stat(output)).size)}: ${version}`);
}
