/**
 * Hours of virtual time on a live mock engine near its capacity: shared prefixes, preemption, requests given up; and on
 * the schedulers of a divided replay.
 *
 * `deno task soak [--hours 24] [--only NAME]`, or `bun test/soak/mocker.ts`; prints a table for each configuration, one
 * line an hour, and exits with 1 if anything is left behind, or only grows.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { replaySoak } from "../support/replay_soak.ts";
import { soak, soakArgs, soakFaults, type SoakNote } from "../support/mocker_soak.ts";

const { values } = parseArgs({ options: { hours: { type: "string", default: "24" }, only: { type: "string" } } });
const HOUR_MS = 3_600_000;
/** Of each rank. */
const CLIENTS = 32;
const runtime = globalThis as unknown as { gc?(): void; Bun?: { gc(synchronous: boolean): void } };

type Column = readonly [string, (note: SoakNote) => number | string];

const SIZES = [
  ...[
    "active",
    "waiting",
    "running",
    "handedOver",
    "usedBlocks",
    "cachedBlocks",
    "indexed",
    "heap",
    "told",
    "mirrored",
  ],
  "events",
];
const COLUMNS: readonly Column[] = [
  ["hour", ({ atMs }) => (atMs / HOUR_MS).toFixed(2)],
  ["answered", ({ ends }) => ends["length"] ?? 0],
  ["given up", ({ ends }) => ends["cancelled"] ?? 0],
  ["preempted", ({ preemptions }) => preemptions],
  ["tokens", ({ tokens }) => tokens],
  ...SIZES.map((name): Column => [
    name,
    ({ most, sizes }) => most[name] === undefined ? "-" : `${sizes[name]}/${most[name]}`,
  ]),
  ["MiB", ({ heapBytes }) => (heapBytes / 2 ** 20).toFixed(2)],
  ["drift ns", ({ driftNs }) => driftNs],
];

const time = { durationMs: Number(values.hours) * HOUR_MS, noteEveryMs: HOUR_MS, heapUsed, onNote: printNote };
const runs: Readonly<Record<string, () => SoakNote[] | Promise<SoakNote[]>>> = {
  ...Object.fromEntries(
    Object.entries(soakArgs(CLIENTS)).map(([name, args]) => [name, () => soak({ args, clients: CLIENTS, ...time })]),
  ),
  "divided-vllm": () => replaySoak({ backend: "vllm", ...time }),
  "divided-sglang": () => replaySoak({ backend: "sglang", ...time }),
};
let faults = 0;
for (const [name, run] of Object.entries(runs)) {
  if (values.only !== undefined && values.only !== name) continue;
  console.log(`\n${name}; entries now/most since the line before`);
  console.log(COLUMNS.map(([title]) => title.padStart(13)).join(""));
  const begin = performance.now();
  const notes = await run();
  console.log(`${((performance.now() - begin) / 1000).toFixed(0)} s of real time`);
  for (const fault of soakFaults(notes)) {
    faults++;
    console.log(`WRONG  ${fault}`);
  }
}
process.exit(faults === 0 ? 0 : 1);

function printNote(note: SoakNote): void {
  console.log(COLUMNS.map(([, value]) => `${value(note)}`.padStart(13)).join(""));
}

function heapUsed(): number {
  runtime.gc?.();
  runtime.Bun?.gc(true);
  return process.memoryUsage().heapUsed;
}
