/**
 * Hours of virtual time on a live mock engine near its capacity: shared prefixes, preemption, requests given up.
 *
 * `deno task soak [--hours 24] [--only NAME]`, or `bun test/soak/mocker.ts`; prints a table for each configuration, one
 * line an hour, and exits with 1 if anything is left behind, or only grows.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { soak, SOAK_ARGS, soakFaults, type SoakNote } from "../support/mocker_soak.ts";

const { values } = parseArgs({ options: { hours: { type: "string", default: "24" }, only: { type: "string" } } });
const HOUR_MS = 3_600_000;
const runtime = globalThis as unknown as { gc?(): void; Bun?: { gc(synchronous: boolean): void } };

const COLUMNS: readonly (readonly [string, (note: SoakNote) => number | string])[] = [
  ["hour", ({ atMs }) => (atMs / HOUR_MS).toFixed(2)],
  ["answered", ({ ends }) => ends["length"] ?? 0],
  ["given up", ({ ends }) => ends["cancelled"] ?? 0],
  ["preempted", ({ preemptions }) => preemptions],
  ["tokens", ({ tokens }) => tokens],
  ...["active", "waiting", "running", "usedBlocks", "cachedBlocks", "indexed", "heap", "told", "mirrored", "events"]
    .map(
      (name) =>
        [name, ({ most, sizes }: SoakNote) => most[name] === undefined ? "-" : `${sizes[name]}/${most[name]}`] as const,
    ),
  ["MiB", ({ heapBytes }) => (heapBytes / 2 ** 20).toFixed(2)],
  ["drift ns", ({ driftNs }) => driftNs],
];

let faults = 0;
for (const [name, args] of Object.entries(SOAK_ARGS)) {
  if (values.only !== undefined && values.only !== name) continue;
  console.log(`\n${name}: ${JSON.stringify(args)}; entries now/most since the line before`);
  console.log(COLUMNS.map(([title]) => title.padStart(13)).join(""));
  const begin = performance.now();
  const notes = await soak({
    args,
    durationMs: Number(values.hours) * HOUR_MS,
    noteEveryMs: HOUR_MS,
    heapUsed,
    onNote: (note) => console.log(COLUMNS.map(([, value]) => `${value(note)}`.padStart(13)).join("")),
  });
  console.log(`${((performance.now() - begin) / 1000).toFixed(0)} s of real time`);
  for (const fault of soakFaults(notes)) {
    faults++;
    console.log(`WRONG  ${fault}`);
  }
}
process.exit(faults === 0 ? 0 : 1);

function heapUsed(): number {
  runtime.gc?.();
  runtime.Bun?.gc(true);
  return process.memoryUsage().heapUsed;
}
