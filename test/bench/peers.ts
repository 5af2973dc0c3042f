/**
 * Stator beside Dynamo's own workers: one machine, one run, the same load client, alternating; what counts is the ratio.
 *
 * Prints one JSON line per measurement, then a table. The first lines are from our own load client, which also measures
 * the time between tokens; without the peers there are only these, of Stator alone. The ratios come from Dynamo's own
 * client, `rust-load`.
 *
 * Usage: `deno task bench [--rounds 5] [--requests 4000] [--concurrency 64] [--only <part of a name>]`. The last is for
 * trying things: a ratio needs both sides.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { missingPeers } from "../support/peers.ts";
import { type Child, memory, until } from "../support/processes.ts";
import { runRustLoad, type RustLoadResult } from "../support/rust_load.ts";
import { makeStore } from "../support/store.ts";
import { type Contender, CONTENDERS } from "./contenders.ts";
import { runLoad } from "./load.ts";

interface Measurement extends RustLoadResult {
  readonly name: string;
  readonly round: number;
  /** @unit bytes */
  readonly rss: number;
  /** @unit bytes */
  readonly peak_rss: number;
}

await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      requests: { type: "string", default: "4000" },
      concurrency: { type: "string", default: "64" },
      only: { type: "string", default: "" },
    },
  });
  const missing = missingPeers();
  if (missing !== undefined) console.error(`Stator alone, without ratios: ${missing}`);
  const contenders = CONTENDERS.filter(({ name, isPeer }) => name.includes(values.only) && !(isPeer && missing));
  using store = makeStore("bench");
  await using workers = new AsyncDisposableStack();
  const running = new Map<string, Child>();
  const records = (name: string) =>
    store.records().filter(({ key }) => key.includes(`v1/instances/dynamo/${name}/generate/`));
  for (const { name, start } of contenders) {
    running.set(name, workers.use(await start(store, name)));
    await until(`${name} to register`, 60_000, () => records(name).length > 0);
  }
  const load = ({ share }: Contender) => {
    const requests = Math.ceil(Number(values.requests) * share);
    const warmup = Math.ceil(requests / 5);
    return { requests, warmup, concurrency: Number(values.concurrency), inputTokens: 128, outputTokens: 64 };
  };
  const rss = async (name: string) => {
    const { resident, peak } = await memory(running.get(name)?.pid ?? 0);
    return { rss: resident, peak_rss: peak };
  };

  for (const contender of contenders) {
    const { name } = contender;
    const result = await runLoad(records(name)[0]?.text ?? "", load(contender));
    console.log(JSON.stringify({ name, client: "stator", ...result, ...await rss(name) }));
  }
  if (missing !== undefined) return;
  const measured: Measurement[] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const contender of contenders) {
      const { name } = contender;
      const { label: _label, ...result } = await runRustLoad(store, { component: name, ...load(contender) });
      const measurement = { name, client: "rust-load", round, ...result, ...await rss(name) };
      measured.push(measurement);
      console.log(JSON.stringify(measurement));
    }
  }
  console.log(table(contenders.map((contender) => contender.name), measured));
}

/** Medians over the rounds; ratios are taken within each round first, since rounds see the same noise. */
function table(names: readonly string[], measured: readonly Measurement[]): string {
  const of = (name: string) => measured.filter((one) => one.name === name);
  const ratio = (name: string, other: string) =>
    median(
      of(name).flatMap((one) =>
        of(other).filter((base) => base.round === one.round).map((base) => one.tok_s / base.tok_s)
      ),
    );
  const head = ["worker", "tok/s", "x python", "x rust", "ttft p50", "ttft p99", "rss MB", "peak MB", "errors"];
  const rows = names.map((name) => {
    const rounds = of(name);
    const middle = (value: (one: Measurement) => number) => median(rounds.map(value));
    return [
      name,
      middle((one) => one.tok_s).toFixed(0),
      ratio(name, "dynamo-python").toFixed(2),
      ratio(name, "dynamo-rust").toFixed(2),
      middle((one) => one.ttft_p50_ms).toFixed(1),
      middle((one) => one.ttft_p99_ms).toFixed(1),
      middle((one) => one.rss / 1e6).toFixed(0),
      middle((one) => one.peak_rss / 1e6).toFixed(0),
      String(rounds.reduce((sum, one) => sum + one.errors, 0)),
    ];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  return [head, ...rows].map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")).join(
    "\n",
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] ?? NaN : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}
