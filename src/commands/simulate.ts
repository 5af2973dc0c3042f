/**
 * `stator simulate`: runs an engine through simulated lives and prints what came of it.
 *
 * @module
 */
import type { OptionRow, OptionValues } from "../engine/option.ts";
import type { Platform } from "../platform/platform.ts";
import { SIMULATION_FAULTS, type SimulationFault } from "../testing/simulation/life_plan.ts";
import { formatFailures, simulateOn, type SimulationReport } from "../testing/simulation/simulate.ts";
import {
  closest,
  engineDefaults,
  formatHelp,
  parseFlags,
  reportFailure,
  resolveRows,
  UsageError,
} from "../worker/command_line.ts";
import { chooseEngine, type EngineTable } from "./engine_choice.ts";

const group = "Simulation";

/** The command's own options; the engine's are taken too. */
const ROWS: readonly OptionRow[] = [
  { key: "seed", flag: "seed", type: "integer", default: 1, min: 0, group, help: "what the first life follows from" },
  { key: "lives", flag: "lives", type: "integer", default: 100, min: 1, group, help: "number of lives" },
  {
    key: "faults",
    flag: "faults",
    type: "string",
    group,
    help: `what may go wrong, joined by commas: none, or of ${SIMULATION_FAULTS.join(", ")} [default all]`,
  },
  { key: "trace", flag: "trace", type: "boolean", default: false, group, help: "print the history of every life" },
];

/** Runs the command: 0 if every promise was kept, 1 if one was broken, 2 for bad usage. */
export async function run(argv: readonly string[], platform: Platform, engines: EngineTable): Promise<number> {
  const { process } = platform;
  try {
    const { name, open, others } = chooseEngine(argv, engines);
    const module = await open();
    const rows = [...ROWS, ...module.options];
    if (others.includes("--help") || others.includes("-h")) {
      process.print(`Usage: stator simulate [--engine <${Object.keys(engines).join("|")}>] [options]\n`);
      process.print(formatHelp(rows, engineDefaults(module, rows, {}, process.env)));
      return 0;
    }
    const given = parseFlags(rows, others);
    const values = resolveRows(rows, given, process.env, engineDefaults(module, rows, given, process.env));
    const { seed, lives, trace } = values as { seed: number; lives: number; trace: boolean };
    const faults = parseFaults(values.faults as string | undefined);
    const report = await simulateOn(platform.clock, () => module.create(values), {
      seed,
      lives,
      trace,
      ...(faults === null ? {} : { faults }),
      replay: (seed) => replayCommand(name, seed, others, given),
    });
    for (const life of report.lives) if (trace) life.trace.forEach((line) => process.print(line));
    process.print(formatReport(report, name));
    return report.ok ? 0 : 1;
  } catch (error) {
    return reportFailure(error, process.printError);
  }
}

function parseFaults(text: string | undefined): SimulationFault[] | null {
  if (text === undefined) return null;
  return text.split(",").map((word) => word.trim()).filter((word) => word !== "none" && word !== "").map((word) => {
    const known = SIMULATION_FAULTS.find((fault) => fault === word);
    if (known !== undefined) return known;
    const choices = ["none", ...SIMULATION_FAULTS];
    throw new UsageError(`--faults: unknown fault ${word}: choose of ${choices.join(", ")}${closest(word, choices)}`);
  });
}

/** The same command for one life, with its history. */
function replayCommand(engine: string, seed: number, others: readonly string[], given: OptionValues): string {
  const own = new Set(["seed", "lives", "trace"]);
  const kept = Object.keys(given).some((key) => !own.has(key)) ? withoutOwn(others) : [];
  return ["stator simulate --engine", engine, `--seed ${seed} --lives 1 --trace`, ...kept].join(" ");
}

/** Arguments but for those that a replay sets itself. */
function withoutOwn(argv: readonly string[]): string[] {
  return argv.filter((word, i) => {
    const isValue = argv[i - 1] === "--seed" || argv[i - 1] === "--lives";
    return !isValue && !/^--(?:no-trace|trace|seed|lives)(?:=|$)/.test(word);
  });
}

function formatReport(report: SimulationReport, engine: string): string {
  const { lives } = report;
  const sum = (count: (life: SimulationReport["lives"][number]) => number) =>
    lives.reduce((total, life) => total + count(life), 0);
  const codes = [...new Set(lives.map(({ exitCode }) => exitCode))].sort((a, b) => a - b)
    .map((code) => `${lives.filter(({ exitCode }) => exitCode === code).length} with code ${code}`);
  const seconds = sum(({ durationMs }) => durationMs) / 1000;
  const [first, last] = [lives[0]!, lives.at(-1)!];
  return [
    `${lives.length} lives of ${engine}, seeds ${first.seed} to ${last.seed}: ` +
    `${sum(({ requests }) => requests)} requests in ${seconds.toFixed(0)} s of virtual time; ended ${codes.join(", ")}`,
    ...lives.length === 1 ? [`digest ${first.digest}`] : [],
    ...report.ok ? ["every promise was kept"] : formatFailures(report),
  ].join("\n");
}
