/**
 * Picks the subcommand and the engine that a command line names.
 *
 * @module
 */
import type { Platform } from "../platform/platform.ts";
import { realPlatform } from "../platform/real.ts";
import { serveOn } from "../serve.ts";
import { formatVersion } from "../worker/version.ts";
import { closest, UsageError } from "../worker/command_line.ts";
import { chooseEngine, DEFAULT_ENGINE, type EngineTable } from "./engine_choice.ts";

/** A subcommand: arguments in, exit code out. */
export interface Command {
  /** Runs it; `engines` are those that `--engine` can name. */
  run(argv: readonly string[], platform: Platform, engines: EngineTable): Promise<number>;
}

/** What a command line can name; `main.ts` fills it with literal imports, since compilers embed only those. */
export interface CommandTables {
  /** Engines of `serve`. */
  readonly engines: EngineTable;
  /** Subcommands beside `serve`. */
  readonly commands: Readonly<Record<string, () => Promise<Command>>>;
}

/** Runs the command line of this process and exits with its code. */
export async function run(tables: CommandTables): Promise<void> {
  const { process } = realPlatform;
  process.exit(await runOn(realPlatform, process.args, tables));
}

/** {@linkcode run} on a platform; resolves to the exit code. */
export async function runOn(platform: Platform, args: readonly string[], tables: CommandTables): Promise<number> {
  const { process } = platform;
  const [first, ...rest] = args;
  const isNamed = first !== undefined && !first.startsWith("-");
  const argv = isNamed ? rest : args;
  if (args.includes("--version")) {
    process.print(formatVersion(platform.runtime));
    return 0;
  }
  if (isNamed && first !== "serve") {
    const command = tables.commands[first];
    if (command !== undefined) return await (await command()).run(argv, platform, tables.engines);
    const names = ["serve", ...Object.keys(tables.commands)];
    process.printError(`unknown command ${first}: choose one of ${names.join(", ")}${closest(first, names)}`);
    return 2;
  }
  try {
    const { open, others } = chooseEngine(argv, tables.engines);
    if (argv.includes("--help") || argv.includes("-h")) process.print(usage(tables));
    return await serveOn(platform, await open(), { argv: others });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.printError(error.message);
    return 2;
  }
}

function usage({ engines, commands }: CommandTables): string {
  return [
    "Usage: stator [serve] [--engine <name>] [options]",
    ...Object.keys(commands).map((name) => `       stator ${name} --help`),
    "",
    "Engine:",
    `  --engine <${Object.keys(engines).join("|")}>`.padEnd(46) + ` the engine to serve [default ${DEFAULT_ENGINE}]`,
    "",
  ].join("\n");
}
