/**
 * `stator conformance`: runs an engine through the worker contract and prints what came of it.
 *
 * @module
 */
import type { OptionRow, OptionValues } from "../engine/option.ts";
import type { Platform } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import { type ConformanceOptions, runConformanceOn } from "../testing/conformance.ts";
import type { CheckResult, ConformanceReport } from "../testing/conformance_report.ts";
import { engineDefaults, formatHelp, parseFlags, reportFailure, resolveRows } from "../worker/command_line.ts";
import { WORKER_OPTIONS } from "../worker/option_rows.ts";
import { chooseEngine, type EngineTable } from "./engine_choice.ts";
import { formatJunit } from "./junit.ts";

const group = "Conformance";

/** The command's own options. Those of `serve` and of the engine are taken too, since they decide what engine it is. */
const ROWS: readonly OptionRow[] = [
  { key: "junit", flag: "junit", type: "string", group, help: "file to write a JUnit report to" },
  {
    key: "checkTimeoutSeconds",
    flag: "check-timeout",
    type: "number",
    default: 30,
    min: 0.01,
    unit: "seconds",
    group,
    help: "longest wait for a call or a stream",
  },
  {
    key: "realTime",
    flag: "real-time",
    type: "boolean",
    default: false,
    group,
    help: "do not skip waits; for engines that also wait for servers, processes or timers of their own",
  },
];

/** Runs the command: 0 if the engine keeps the contract, 1 if it does not, 2 for bad usage. */
export async function run(argv: readonly string[], platform: Platform, engines: EngineTable): Promise<number> {
  const { process } = platform;
  try {
    const { name, open, others } = chooseEngine(argv, engines);
    const module = await open();
    const rows = [...ROWS, ...module.options, ...WORKER_OPTIONS];
    if (others.includes("--help") || others.includes("-h")) {
      process.print(`Usage: stator conformance [--engine <${Object.keys(engines).join("|")}>] [options]\n`);
      process.print(
        formatHelp(
          [...ROWS, ...module.options, ...WORKER_OPTIONS.filter(isOfEngine)],
          engineDefaults(module, rows, {}, process.env),
        ),
      );
      return 0;
    }
    const warn = (text: string) => process.printError(text);
    const given = parseFlags(rows, others);
    const values = resolveRows(rows, given, process.env, engineDefaults(module, rows, given, process.env), warn);
    const faults: unknown[] = [];
    using _faults = process.onFault((error) => faults.push(error));
    // Made ahead, so that settings which the engine refuses are bad usage rather than a broken contract.
    const ahead = [await module.create(values)];
    const factory = () => ahead.pop() ?? module.create(values);
    const report = await runConformanceOn(platform.clock, factory, optionsOf(values));
    process.print(formatReport(report, name));
    for (const fault of faults) process.printError(`An error that no hook threw: ${DynamoError.from(fault).message}`);
    const exitCode = report.ok && faults.length === 0 ? 0 : 1;
    if (values.junit === undefined) return exitCode;
    return await writeJunit(platform, values.junit as string, formatJunit(report, name)) ? exitCode : exitCode || 2;
  } catch (error) {
    return reportFailure(error, process.printError);
  }
}

/** Whether an option of `serve` says something about the engine rather than about the worker around it. */
function isOfEngine(row: OptionRow): boolean {
  return row.group === "Identity" || row.group === "Model";
}

function optionsOf({ disaggregationMode, checkTimeoutSeconds, realTime }: OptionValues): ConformanceOptions {
  const role = disaggregationMode === "aggregated" ? "agg" : disaggregationMode as ConformanceOptions["role"] & string;
  return { role, timeoutSeconds: checkTimeoutSeconds as number, realTime: realTime as boolean };
}

async function writeJunit({ files, process }: Platform, path: string, text: string): Promise<boolean> {
  try {
    await files.write(path, new TextEncoder().encode(text));
    return true;
  } catch (error) {
    process.printError(`--junit: cannot write ${path}: ${(error as Error).message}`);
    return false;
  }
}

const STATUS: Readonly<Record<CheckResult["status"], string>> = {
  passed: "passed",
  failed: "FAILED",
  not_applicable: "n/a",
};

function formatReport({ role, checks, ok }: ConformanceReport, engine: string): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, status, failure, message, durationMs }) => {
    const note = failure === null ? message : `${failure}: ${message}`;
    return `${STATUS[status].padEnd(6)}  ${name.padEnd(width)}  ${formatMs(durationMs).padStart(8)}  ${note}`.trimEnd();
  });
  const count = (status: CheckResult["status"]) => checks.filter((check) => check.status === status).length;
  const sum = `${count("passed")} passed, ${count("failed")} failed, ${count("not_applicable")} not applicable`;
  const verdict = `${engine} as ${role} ${ok ? "keeps" : "does not keep"} the contract of Dynamo`;
  return ["", ...lines, "", `${verdict}: ${sum}`].join("\n");
}

function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
