/**
 * From nothing to the first token, and the memory held then: `main.ts` on both runtimes, its bundles, and the executable.
 *
 * Prints one JSON line per start, then medians. The first start of each, which fills caches, is left out of those.
 *
 * Usage: `deno task bench:start [--rounds 5]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { stator } from "../support/compiled.ts";
import { REPOSITORY } from "../support/peers.ts";
import { type Command, memory, start, temporaryFolder } from "../support/processes.ts";
import { executable, RUN } from "../support/runtimes.ts";

interface Start {
  readonly name: string;
  readonly round: number;
  /** Until the version was printed. @unit milliseconds */
  readonly version_ms: number;
  /** Until the gateway had said where it listens. @unit milliseconds */
  readonly listening_ms: number;
  /** Until the first token of a chat had come. @unit milliseconds */
  readonly first_token_ms: number;
  /** Memory then. @unit bytes */
  readonly rss: number;
}

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
using folder = temporaryFolder("bench-start");
const measured: Start[] = [];
const contenders = await contendersIn(folder.path);
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const contender of contenders) {
    const one = await measure(contender, round);
    console.log(JSON.stringify(one));
    if (round > 0) measured.push(one);
  }
}
console.log(table(measured));

async function contendersIn(path: string): Promise<Omit<Command, "cwd">[]> {
  const main = join(REPOSITORY, "main.ts");
  const compiled = async (runtime: string, name: string) => {
    const output = join(path, name);
    const end = await stator(["compile", "--runtime", runtime, "-o", output], path);
    if (end.code !== 0) throw new Error(end.output);
    return output;
  };
  const [deno, bun] = [await executable("deno"), await executable("bun")];
  return [
    { name: "deno run main.ts", executable: deno, args: [...RUN.deno, main], env: {} },
    { name: "bun run main.ts", executable: bun, args: [...RUN.bun, main], env: {} },
    { name: "deno run stator.js", executable: deno, args: [...RUN.deno, await compiled("deno", "deno.js")], env: {} },
    { name: "bun run stator.js", executable: bun, args: [...RUN.bun, await compiled("bun", "bun.js")], env: {} },
    { name: "executable on bun", executable: await compiled("bun", "stator"), args: [], env: {} },
  ];
}

async function measure(command: Omit<Command, "cwd">, round: number): Promise<Start> {
  const { name } = command;
  const version_ms = await timed(async () => {
    await using child = start({ ...command, args: [...command.args, "--version"], cwd: folder.path });
    await child.exit(30_000);
  });
  const begin = performance.now();
  const args = [...command.args, "--gateway-port", "0", "--delay", "0"];
  await using child = start({ ...command, args, cwd: folder.path });
  const [, url] = await child.waitFor(/Gateway listening on (http:\S+),/, 30_000);
  const listening_ms = performance.now() - begin;
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "stator-sample", messages: [{ role: "user", content: "Hello" }], stream: true }),
  });
  let text = "";
  let first_token_ms = NaN;
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (Number.isNaN(first_token_ms) && /"content":"[^"]/.test(text)) first_token_ms = performance.now() - begin;
  }
  const { resident: rss } = await memory(child.pid);
  return { name, round, version_ms, listening_ms, first_token_ms, rss };
}

async function timed(run: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

function table(starts: readonly Start[]): string {
  const head = ["program", "--version ms", "listening ms", "first token ms", "rss MB"];
  const rows = [...new Set(starts.map(({ name }) => name))].map((name) => {
    const middle = (value: (one: Start) => number) => {
      const sorted = starts.filter((one) => one.name === name).map(value).sort((a, b) => a - b);
      return (sorted[sorted.length >> 1] ?? NaN).toFixed(0);
    };
    return [
      name,
      middle((one) => one.version_ms),
      middle((one) => one.listening_ms),
      middle((one) => one.first_token_ms),
      middle((one) => one.rss / 1e6),
    ];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  return [head, ...rows].map((row) => row.map((cell, column) => cell.padStart(widths[column]!)).join("  ")).join("\n");
}
