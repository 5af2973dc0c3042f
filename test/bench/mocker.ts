/**
 * The mock engine beside Dynamo's mocker: one frontend, the same flags, the same requests, in turn.
 *
 * Prints one JSON line per engine and round, then a table with the peer's figures, ours, and the ratio. Times are
 * medians over all requests and tokens, rates are medians of rounds. `own` are the means that the workers count
 * themselves. The lines named `direct` go past the frontend, with Dynamo's own client.
 *
 * Usage: `deno task bench:mocker [--rounds 10] [--only <part of a load's name>]`.
 *
 * @module
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type Frontend, startFrontend } from "../support/frontend.ts";
import { latencies, meanBetween, startMocker } from "../support/mocker_load.ts";
import { missingPeers, TINY_WORDS_MODEL } from "../support/peers.ts";
import { type Child, freePort } from "../support/processes.ts";
import type { Runtime } from "../support/runtimes.ts";
import { runRustLoad } from "../support/rust_load.ts";
import { startStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";
import { type Load, sendRound } from "./frontend_load.ts";

interface NamedLoad extends Load {
  readonly name: string;
  /** Flags of the engines. */
  readonly flags: readonly string[];
  /** Whether it goes past the frontend too. */
  readonly isDirect?: boolean;
}

const speed = (ratio: string) => ["--speedup-ratio", ratio];
const EIGHT: Load = {
  requests: 48,
  concurrent: 8,
  pauseMs: [0, 30],
  sharedTokens: 0,
  ownTokens: [64, 136],
  answerTokens: [24, 40],
};
const SHARED: Load = { ...EIGHT, sharedTokens: 384, ownTokens: [8, 24], answerTokens: [12, 20] };
// Slowed down, so that the way to the engine and back, which takes a millisecond or two, is next to nothing.
const LOADS: readonly NamedLoad[] = [
  { ...EIGHT, name: "8 concurrent, slow", flags: speed("0.25") },
  {
    ...{ name: "64 concurrent, slow", flags: speed("0.1"), requests: 192, concurrent: 64, pauseMs: [0, 1500] },
    ...{ sharedTokens: 0, ownTokens: [64, 136], answerTokens: [12, 20] },
  },
  { ...SHARED, name: "shared prefix, slow", flags: speed("0.25") },
  {
    ...{ name: "KV exhaustion", flags: ["--num-gpu-blocks-override", "40"], requests: 6, concurrent: 6 },
    ...{ pauseMs: [0, 300], sharedTokens: 0, ownTokens: [120, 136], answerTokens: [56, 72] },
  },
  { ...EIGHT, name: "8 concurrent", flags: [] },
  { ...SHARED, name: "shared prefix", flags: [], requests: 96 },
  {
    ...{ name: "speed-up 1000", flags: speed("1000"), requests: 1280, concurrent: 64, pauseMs: [0, 0], isDirect: true },
    ...{ sharedTokens: 0, ownTokens: [100, 100], answerTokens: [64, 64] },
  },
];

type Start = (
  store: Store,
  component: string,
  flags: string[],
  env: Readonly<Record<string, string>>,
) => Promise<Child>;

/** Engines by the component they serve, which is the name of their model too; the peer is the first. */
const ENGINES: Readonly<Record<string, Start>> = {
  dynamo(store, component, flags, env) {
    const names = ["--endpoint", `dyn://dynamo.${component}.generate`, "--model-name", component];
    return startMocker(store, "dynamo", [...names, ...flags], env);
  },
  deno: stator("deno"),
  bun: stator("bun"),
};
const COMPONENTS = Object.keys(ENGINES);

function stator(runtime: Runtime): Start {
  return (store, component, flags, env) => {
    const args = ["--engine", "mocker", "--component", component, "--served-model-name", component, ...flags];
    return startStator(store, { runtime, model: TINY_WORDS_MODEL, args, env });
  };
}

/** One engine under one load. Times are in milliseconds, rates a second; an entry per request, token or round. */
interface Measured {
  readonly ttft: number[];
  readonly itl: number[];
  readonly own_ttft: number[];
  readonly own_itl: number[];
  readonly req_s: number[];
  readonly tok_s: number[];
}
type Figure = keyof Measured;
const FIGURES: readonly Figure[] = ["ttft", "itl", "own_ttft", "own_itl", "req_s", "tok_s"];

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "10" }, only: { type: "string", default: "" } },
});
const missing = missingPeers();
if (missing !== undefined) throw new Error(missing);
const rows: string[][] = [["load", "engine", ...FIGURES.map((figure) => figure.replace("_", " "))]];
for (const load of LOADS.filter(({ name }) => name.includes(values.only))) {
  for (const [name, engines] of await runLoad(load, Number(values.rounds))) rows.push(...rowsOf(name, engines));
}
console.log(table(rows));

/** Runs one load on all engines; resolves with what was measured, by way to the engines and engine. */
async function runLoad(load: NamedLoad, rounds: number): Promise<Map<string, Map<string, Measured>>> {
  using store = makeStore("bench-mocker");
  await using frontend = await startFrontend(store);
  await using workers = new AsyncDisposableStack();
  const ports = new Map<string, number>();
  for (const [component, start] of Object.entries(ENGINES)) {
    const port = await freePort();
    const env = { DYN_SYSTEM_PORT: String(port) };
    workers.use(await start(store, component, ["--block-size", "16", ...load.flags], env));
    await frontend.listed(component);
    ports.set(component, port);
  }
  const measured = new Map<string, Map<string, Measured>>();
  const inTurn = async (name: string, measure: Measure) => measured.set(name, await takeTurns(name, rounds, measure));
  await inTurn(
    load.name,
    (component, round) => behindFrontend(frontend, component, ports.get(component)!, load, round),
  );
  if (load.isDirect) await inTurn(`${load.name}, direct`, (component) => direct(store, component, load));
  return measured;
}

type Measure = (component: string, round: number) => Promise<Partial<Measured>>;

/** Measures all engines, one after the other, in every round; each is the first in some. */
async function takeTurns(name: string, rounds: number, measure: Measure): Promise<Map<string, Measured>> {
  const engines = new Map(COMPONENTS.map((component) => [component, empty()]));
  for (let round = 0; round <= rounds; round++) {
    const first = round % COMPONENTS.length;
    for (const component of [...COMPONENTS.slice(first), ...COMPONENTS.slice(0, first)]) {
      const one = await measure(component, round);
      const shown = Object.fromEntries(FIGURES.map((figure) => [figure, median(one[figure] ?? [])]));
      console.log(JSON.stringify({ name, engine: component, round, ...shown, load_average: loadavg()[0] }));
      // Compilers are busy in the first round.
      if (round === 0) continue;
      for (const figure of FIGURES) engines.get(component)![figure].push(...one[figure] ?? []);
    }
  }
  return engines;
}

async function behindFrontend(
  { url }: Frontend,
  model: string,
  port: number,
  load: Load,
  round: number,
): Promise<Measured> {
  const before = await latencies(port);
  const { ttft, itl, requestRate, tokenRate } = await sendRound(url, model, load, round);
  const after = await latencies(port);
  return {
    ttft: [...ttft],
    itl: [...itl],
    own_ttft: [meanBetween(before, after, "ttft")],
    own_itl: [meanBetween(before, after, "itl")],
    req_s: [requestRate],
    tok_s: [tokenRate],
  };
}

async function direct(
  store: Store,
  component: string,
  { requests, concurrent, ownTokens, answerTokens }: Load,
): Promise<Partial<Measured>> {
  const done = await runRustLoad(store, {
    component,
    concurrency: concurrent,
    requests,
    inputTokens: ownTokens[1],
    outputTokens: answerTokens[1],
    warmup: concurrent,
  });
  if (done.errors > 0) throw new Error(`${done.errors} errors of ${component}`);
  return { ttft: [done.ttft_p50_ms], req_s: [done.req_s], tok_s: [done.tok_s] };
}

function empty(): Measured {
  return { ttft: [], itl: [], own_ttft: [], own_itl: [], req_s: [], tok_s: [] };
}

/** The peer's row, then ours with ratios to it. */
function rowsOf(name: string, engines: ReadonlyMap<string, Measured>): string[][] {
  const [peer] = engines.values();
  return [...engines].map(([engine, measured]) => [
    name,
    engine,
    ...FIGURES.map((figure) => {
      const [mine, base] = [median(measured[figure]), median(peer![figure])];
      if (Number.isNaN(mine)) return "";
      return measured === peer ? mine.toFixed(2) : `${mine.toFixed(2)} ${(mine / base).toFixed(3)}`;
    }),
  ]);
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column]!)).join("  ")).join("\n");
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}
