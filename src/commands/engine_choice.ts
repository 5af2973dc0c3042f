/**
 * Picks the engine that a command line names.
 *
 * @module
 */
import type { EngineModule } from "../engine/engine.ts";
import { closest, UsageError } from "../worker/command_line.ts";

/** Engines by name; `main.ts` fills it with literal imports, since compilers embed only those. */
export type EngineTable = Readonly<Record<string, () => Promise<EngineModule>>>;

/** The engine when none is named. */
export const DEFAULT_ENGINE = "sample";

/** An engine, and what the command line says beside it. */
export interface EngineChoice {
  /** Its name. */
  readonly name: string;
  /** Loads it. */
  readonly open: () => Promise<EngineModule>;
  /** The other arguments. */
  readonly others: readonly string[];
}

/**
 * Takes `--engine` out of the arguments: it decides which other options there are.
 *
 * @throws {UsageError} If there is no such engine.
 */
export function chooseEngine(argv: readonly string[], engines: EngineTable): EngineChoice {
  const { name, others } = takeEngine(argv);
  const open = Object.hasOwn(engines, name) ? engines[name] : undefined;
  if (open !== undefined) return { name, open, others };
  const names = Object.keys(engines);
  throw new UsageError(
    `--engine: unknown engine ${name}: choose one of ${names.join(", ")}${closest(name, names)}`,
  );
}

function takeEngine(argv: readonly string[]): Pick<EngineChoice, "name" | "others"> {
  const at = argv.findIndex((word) => word === "--engine" || word.startsWith("--engine="));
  if (at < 0) return { name: DEFAULT_ENGINE, others: argv };
  const inline = argv[at]!.slice("--engine=".length);
  if (argv[at] !== "--engine") return { name: inline, others: argv.toSpliced(at, 1) };
  return { name: argv[at + 1] ?? "", others: argv.toSpliced(at, 2) };
}
