/**
 * `stator compile`: makes one executable of an engine, or of Stator itself, with a runtime and everything else in it.
 *
 * @module
 */
import type { OptionRow, OptionValues } from "../engine/option.ts";
import type { Platform } from "../platform/platform.ts";
import { formatHelp, parseFlags, reportFailure, resolveRows, UsageError } from "../worker/command_line.ts";
import { CompileError, type CompileJob, isFile } from "./compile_job.ts";
import { type CompileRuntime, TARGETS, TOOLS } from "./compile_runtime.ts";
import { compile } from "./executable.ts";
import { addressOf, findPackageFiles, pathOf } from "./package_files.ts";

const group = "Compile";

const ROWS: readonly OptionRow[] = [
  {
    key: "output",
    flag: "output",
    type: "string",
    group,
    help: "file to write, also -o; one that ends in .js is the code alone, for a runtime that is there",
  },
  {
    key: "target",
    flag: "target",
    type: "string",
    choices: Object.keys(TARGETS),
    group,
    help: "machine it is for; this one when unset",
  },
  {
    key: "runtime",
    flag: "runtime",
    type: "string",
    choices: Object.keys(TOOLS),
    group,
    help: "runtime in it; the one that runs this when unset",
  },
];

const USAGE = `Usage: stator compile [<engine file>] [options]

The file exports an engine or an engine module, as default or as "module", or it calls serve() itself. Without a file
the program is stator. It is run once with --version before it is put in place.
`;

/** Runs the command: 0 if there is an executable now, 1 if there is none, 2 for bad usage. */
export async function run(argv: readonly string[], platform: Platform): Promise<number> {
  const { process } = platform;
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      process.print(USAGE);
      process.print(formatHelp(ROWS));
      return 0;
    }
    await using undo = new AsyncDisposableStack();
    await compile(await plan(argv, platform, undo));
    return 0;
  } catch (error) {
    if (!(error instanceof CompileError)) return reportFailure(error, process.printError);
    process.printError(error.message);
    return 1;
  }
}

async function plan(argv: readonly string[], platform: Platform, undo: AsyncDisposableStack): Promise<CompileJob> {
  const { files, programs, random, process } = platform;
  const { file, values } = readArguments(argv);
  if (programs === undefined) throw new CompileError("Cannot compile here: there are no other programs to run");
  const own = await findPackageFiles(files, import.meta.url);
  const source = file === null ? null : pathOf(addressOf(files, file));
  if (source !== null && !await isFile(files, source)) throw new UsageError(`compile: there is no file ${file}`);
  const target = values.target as string | undefined ?? null;
  const machine = target === null ? programs.machine : TARGETS[target]!.machine;
  const output = pathOf(addressOf(files, values.output as string | undefined ?? defaultOutput(file, target)));
  return {
    files,
    programs,
    print: process.print,
    runtime: values.runtime as CompileRuntime | undefined ?? (platform.runtime.startsWith("bun") ? "bun" : "deno"),
    target,
    runsHere: machine === programs.machine,
    own,
    source,
    output: machine.startsWith("win32") && !/\.(?:exe|js)$/.test(output) ? `${output}.exe` : output,
    temporary(folder, suffix) {
      const path = `${folder}/.stator-${random.uuid().slice(0, 8)}${suffix}`;
      undo.defer(() => files.remove(path).catch(() => {}));
      return path;
    },
  };
}

function readArguments(argv: readonly string[]): { readonly file: string | null; readonly values: OptionValues } {
  const words = argv.map((word) => word === "-o" ? "--output" : word);
  const at = words.findIndex((word, i) => !word.startsWith("-") && !/^--[^=]+$/.test(words[i - 1] ?? ""));
  const given = parseFlags(ROWS, at < 0 ? words : words.toSpliced(at, 1));
  return { file: words[at] ?? null, values: resolveRows(ROWS, given, {}) };
}

function defaultOutput(file: string | null, target: string | null): string {
  const name = file === null ? "dist/stator" : file.replace(/^.*[/\\]/, "").replace(/\.[^.]+$/, "");
  return target === null ? name : `${name}-${target}`;
}
