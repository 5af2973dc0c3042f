/**
 * `stator replay`: runs a trace through simulated workers on a virtual clock and prints what came of it.
 *
 * @module
 */
import { parseLaunchArgs } from "../../engines/mocker/launch_args.ts";
import { readTimingTable } from "../../engines/mocker/npz.ts";
import { type PoolArgs, type ReplayOptions, replayTrace } from "../../engines/mocker/replay/replay.ts";
import type { ReplaySummary } from "../../engines/mocker/replay/report.ts";
import { readTrace } from "../../engines/mocker/replay/trace.ts";
import type { OptionRow, OptionValues } from "../engine/option.ts";
import type { Platform } from "../platform/platform.ts";
import { BlockHasher, sequenceHashes } from "../protocol/block_hash.ts";
import { formatHelp, parseFlags, reportFailure, resolveRows, UsageError } from "../worker/command_line.ts";

const group = "Replay";
const text = (key: string, flag: string, help: string): OptionRow => ({ key, flag, type: "string", group, help });
const limit = (key: string, flag: string, help: string): OptionRow => (
  { key, flag, type: "number", min: 0, unit: "milliseconds", group, help }
);
const workers = (key: string, flag: string, help: string): OptionRow => (
  { key, flag, type: "integer", default: 1, min: 1, group, help }
);

const ROWS: readonly OptionRow[] = [
  text("engineArgs", "engine-args", "engine arguments: JSON, or a file with it"),
  text("prefillEngineArgs", "prefill-engine-args", "engine arguments of workers that compute prompts only"),
  text("decodeEngineArgs", "decode-engine-args", "engine arguments of workers that answer only"),
  workers("workers", "workers", "workers that do both"),
  workers("prefillWorkers", "prefill-workers", "workers that compute prompts only"),
  workers("decodeWorkers", "decode-workers", "workers that answer only"),
  {
    key: "routerMode",
    flag: "router-mode",
    type: "string",
    choices: ["round_robin", "kv_router"],
    default: "round_robin",
    group,
    help: "who chooses the worker of a request",
  },
  {
    key: "traceBlockSize",
    flag: "trace-block-size",
    type: "integer",
    default: 512,
    min: 1,
    unit: "tokens",
    group,
    help: "tokens that one hash id of the trace stands for",
  },
  {
    key: "concurrency",
    flag: "concurrency",
    type: "integer",
    min: 1,
    group,
    help: "requests kept in flight; timestamps are ignored then",
  },
  {
    key: "arrivalSpeedup",
    flag: "arrival-speedup-ratio",
    type: "number",
    default: 1,
    min: 0,
    group,
    help: "divides timestamps and pauses",
  },
  limit("maxSimTimeMs", "max-sim-time-ms", "stop here"),
  limit("ttftMs", "sla-ttft-ms", "longest time to first token of a good request"),
  limit("itlMs", "sla-itl-ms", "longest mean time between tokens of a good request"),
  limit("e2eMs", "sla-e2e-ms", "longest time to the last token of a good request"),
  text("json", "json", "file to write the report to, as JSON"),
];

/** Pause between two lines of progress. @unit milliseconds */
const PROGRESS_MS = 1000;

/** Runs the command: 0 if the trace was replayed, 1 if it cannot be finished, 2 for bad usage. */
export async function run(argv: readonly string[], platform: Platform): Promise<number> {
  const { process, files } = platform;
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      process.print(`Usage: stator replay <trace.jsonl> [options]\n\n${formatHelp(ROWS)}`);
      return 0;
    }
    const [path, ...flags] = argv;
    if (path === undefined || path.startsWith("-")) throw new UsageError("replay: name the trace first");
    const values = resolveRows(ROWS, parseFlags(ROWS, flags), process.env);
    const options = await optionsOf(values, platform);
    const trace = await usable(async () => readTrace(await readText(platform, path), values.traceBlockSize as number));
    const { summary } = replayTrace(trace, options);
    process.print(formatSummary(summary));
    if (values.json !== undefined) {
      await files.write(values.json as string, new TextEncoder().encode(`${JSON.stringify(summary, null, 2)}\n`));
    }
    return 0;
  } catch (error) {
    return reportFailure(error, process.printError);
  }
}

async function optionsOf(values: OptionValues, platform: Platform): Promise<ReplayOptions> {
  const isDivided = values.prefillEngineArgs !== undefined || values.decodeEngineArgs !== undefined;
  if (isDivided && values.engineArgs !== undefined) {
    throw new UsageError("--engine-args: give either these or --prefill-engine-args and --decode-engine-args");
  }
  const pool = (key: string, count: string, given = values[key]) =>
    given === undefined ? undefined : readPool(`${given}`, values[count] as number, platform);
  const number = (key: string) => values[key] as number | undefined;
  return {
    hashBlocks: (blockSize) => {
      const hasher = new BlockHasher(blockSize);
      return (tokens, parent) => sequenceHashes(hasher.localHashes(tokens), parent);
    },
    aggregated: await pool("engineArgs", "workers", isDivided ? undefined : values.engineArgs ?? "{}"),
    prefill: await pool("prefillEngineArgs", "prefillWorkers"),
    decode: await pool("decodeEngineArgs", "decodeWorkers"),
    routerMode: values.routerMode as "round_robin" | "kv_router",
    concurrency: number("concurrency"),
    arrivalSpeedup: number("arrivalSpeedup"),
    maxSimTimeMs: number("maxSimTimeMs"),
    sla: { ttftMs: number("ttftMs"), itlMs: number("itlMs"), e2eMs: number("e2eMs") },
    onProgress: progress(platform),
  };
}

function readPool(given: string, workers: number, platform: Platform): Promise<PoolArgs> {
  return usable(async () => {
    const isInline = given.trimStart().startsWith("{");
    const args = parseLaunchArgs(JSON.parse(isInline ? given : await readText(platform, given)));
    const { timing_model: timing } = args.engine;
    if (timing.type !== "external") return { args, workers };
    const bytes = new Uint8Array(await platform.files.read(timing.config.path));
    return { args, workers, table: await readTimingTable(bytes) };
  });
}

async function readText({ files }: Platform, path: string): Promise<string> {
  return new TextDecoder().decode(await files.read(path));
}

/** What a file or an argument says wrongly is bad usage. */
async function usable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Tells on a terminal how far a long replay is. */
function progress({ process, clock }: Platform): ReplayOptions["onProgress"] {
  if (process.isErrorTerminal !== true) return undefined;
  let told = clock.now();
  return (ended, all) => {
    if (clock.now() - told < PROGRESS_MS) return;
    told = clock.now();
    process.printError(`${"#".repeat(Math.floor(40 * ended / all)).padEnd(40, ".")} ${ended} of ${all} requests`);
  };
}

const COLUMNS = ["mean", "min", "median", "p90", "p99", "max"];
const ROW_NAMES = ["ttft_ms", "ttst_ms", "tpot_ms", "itl_ms", "e2e_latency_ms", "output_token_throughput_per_user"];

function formatSummary(summary: ReplaySummary): string {
  const figure = (name: string) => {
    const value = summary[name];
    return typeof value !== "number" ? "-" : Number.isInteger(value) ? `${value}` : value.toFixed(3);
  };
  const isOfTable = (name: string) => ROW_NAMES.some((row) => name.endsWith(`_${row}`));
  const facts = Object.keys(summary).filter((name) => !isOfTable(name) && typeof summary[name] === "number");
  const width = Math.max(...facts.map((name) => name.length));
  const wide = Math.max(...ROW_NAMES.map((name) => name.length));
  return [
    ...facts.map((name) => `${name.padEnd(width)}  ${figure(name).padStart(14)}`),
    "",
    `${"".padEnd(wide)}${COLUMNS.map((column) => column.padStart(12)).join("")}`,
    ...ROW_NAMES.map((row) =>
      `${row.padEnd(wide)}${COLUMNS.map((column) => figure(`${column}_${row}`).padStart(12)).join("")}`
    ),
  ].join("\n");
}
