/**
 * Picks the subcommand and the engine that a command line names.
 *
 * @module
 */
import type { EngineModule } from "../engine/engine.ts";
import type { Platform } from "../platform/platform.ts";
import { realPlatform } from "../platform/real.ts";
import { serveOn } from "../serve.ts";
import { VERSION } from "./version.ts";
import { closest } from "../worker/command_line.ts";

/** A subcommand: arguments in, exit code out. */
export interface Command {
  /** Runs it. */
  run(argv: readonly string[], platform: Platform): Promise<number>;
}

/** What a command line can name; `main.ts` fills it with literal imports, since compilers embed only those. */
export interface CommandTables {
  /** Engines of `serve`. */
  readonly engines: Readonly<Record<string, () => Promise<EngineModule>>>;
  /** Subcommands beside `serve`. */
  readonly commands: Readonly<Record<string, () => Promise<Command>>>;
}

const DEFAULT_ENGINE = "sample";

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
    process.print(`stator ${VERSION.stator} (${platform.runtime}; tested with Dynamo ${VERSION.dynamo})`);
    return 0;
  }
  if (isNamed && first !== "serve") {
    const command = tables.commands[first];
    if (command !== undefined) return await (await command()).run(argv, platform);
    const names = ["serve", ...Object.keys(tables.commands)];
    process.printError(`unknown command ${first}: choose one of ${names.join(", ")}${closest(first, names)}`);
    return 2;
  }
  const { engine, others } = takeEngine(argv);
  const open = tables.engines[engine];
  if (open === undefined) {
    const names = Object.keys(tables.engines);
    process.printError(
      `--engine: unknown engine ${engine}: choose one of ${names.join(", ")}${closest(engine, names)}`,
    );
    return 2;
  }
  if (argv.includes("--help") || argv.includes("-h")) process.print(usage(tables));
  return await serveOn(platform, await open(), { argv: others });
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

/** Takes `--engine` out of the arguments: it decides which other options there are. */
function takeEngine(argv: readonly string[]): { readonly engine: string; readonly others: readonly string[] } {
  const at = argv.findIndex((word) => word === "--engine" || word.startsWith("--engine="));
  if (at < 0) return { engine: DEFAULT_ENGINE, others: argv };
  const inline = argv[at]!.slice("--engine=".length);
  if (argv[at] !== "--engine") return { engine: inline, others: argv.toSpliced(at, 1) };
  return { engine: argv[at + 1] ?? "", others: argv.toSpliced(at, 2) };
}
