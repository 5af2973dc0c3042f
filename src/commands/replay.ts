/**
 * `stator replay`: runs a trace through simulated workers on a virtual clock and prints what came of it.
 *
 * @module
 */
import { parseLaunchArgs } from "../../engines/mocker/launch_args.ts";
import { readTimingTable } from "../../engines/mocker/npz.ts";
import { replayPage } from "../../engines/mocker/page/replay_page.ts";
import { type PoolArgs, type ReplayOptions, replayTrace } from "../../engines/mocker/replay/replay.ts";
import { RunRecorder } from "../../engines/mocker/replay/run_recorder.ts";
import { readTrace } from "../../engines/mocker/replay/trace.ts";
import type { OptionRow, OptionValues } from "../engine/option.ts";
import type { Platform } from "../platform/platform.ts";
import { BlockHasher, sequenceHashes } from "../protocol/block_hash.ts";
import { formatHelp, parseFlags, reportFailure, resolveRows, UsageError } from "../worker/command_line.ts";
import { formatVersion, VERSION } from "../worker/version.ts";
import { ProgressBar } from "./progress_bar.ts";
import { formatReport } from "./replay_table.ts";

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
  text("json", "json", "file to write the report to, as JSON; - prints it instead of the table"),
  text("html", "html", "file to write a page with plots to; needs nothing else to be looked at"),
  {
    key: "progress",
    flag: "progress",
    type: "boolean",
    group,
    help: "show on standard error how far it is, even if that is no terminal",
  },
];

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
    const bar = values.progress ?? process.isErrorTerminal === true ? new ProgressBar(platform, "requests") : undefined;
    const recorder = values.html === undefined ? undefined : new RunRecorder();
    const options = await optionsOf(values, platform);
    const trace = await usable(async () => readTrace(await readText(platform, path), values.traceBlockSize as number));
    const { summary, log } = replayTrace(trace, {
      ...options,
      onProgress: bar?.update,
      onWorker: recorder?.observe,
    });
    bar?.finish(trace.rows.length, trace.rows.length);
    const json = JSON.stringify(summary, null, 2);
    process.print(values.json === "-" ? json : formatReport(summary));
    const write = (file: unknown, content: string) => files.write(file as string, new TextEncoder().encode(content));
    if (values.json !== undefined && values.json !== "-") await write(values.json, `${json}\n`);
    if (recorder !== undefined) {
      const run = recorder.read(summary["duration_ms"] as number);
      const facts = factsOf(argv, options, platform);
      await write(values.html, replayPage({ trace: path, facts, summary, log, run }));
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

/** What a page says of how it came to be. */
function factsOf(argv: readonly string[], options: ReplayOptions, { runtime }: Platform): Record<string, string> {
  const pools = [["engine", options.aggregated], ["prefill", options.prefill], ["decode", options.decode]] as const;
  return {
    "command line": `stator replay ${argv.map(quoted).join(" ")}`,
    versions: formatVersion(runtime),
    "modelled on": `Dynamo ${VERSION.dynamo}, aisimulate-core 0.13.0`,
    ...Object.fromEntries(
      pools.flatMap(([name, pool]) =>
        pool === undefined ? [] : [[`${name} arguments`, JSON.stringify(pool.args, null, 1)]]
      ),
    ),
  };
}

function quoted(word: string): string {
  return /^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
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
