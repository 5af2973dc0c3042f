/**
 * Plants bugs by hand in a copy of the worker, and lets the simulation find them.
 *
 * `deno run -A test/soak/planted_bugs.ts [--seed 1] [--lives 1000]`, or `bun` for it; prints a line for each bug with
 * the life and the promise that gave it away, and exits with 1 if one was not found.
 *
 * @module
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { run } from "../support/processes.ts";
import { CURRENT, executable, RUN } from "../support/runtimes.ts";
import { BUGS, type Edit, edited } from "./bugs.ts";

const { values } = parseArgs({ options: { seed: { type: "string" }, lives: { type: "string" } } });
const { seed = "1", lives = "1000" } = values;
const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a copy of the repository needs; the rest stays behind. */
const COPIED = ["src", "engines", "mod.ts", "main.ts", "deno.json", "deno.lock", "package.json"];
const FINDER = "test/soak/first_violation.ts";
const LIMIT_MS = 300_000;

const copy = await mkdtemp(join(tmpdir(), "stator-planted-"));
let missed = 0;
try {
  for (const name of [...COPIED, FINDER, "test/support/numbered_engine.ts"]) {
    await cp(join(root, name), join(copy, name), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  for (const [name, edits] of Object.entries({ "no bug": [], ...BUGS })) {
    const undo = await plant(edits);
    const found = await findIn(copy);
    await undo();
    const isRight = (found === "") === (edits.length === 0);
    if (!isRight) missed++;
    console.log(`${isRight ? "ok    " : "WRONG "}  ${name.padEnd(32)}  ${found === "" ? "nothing found" : found}`);
  }
} finally {
  await rm(copy, { recursive: true, force: true });
}
process.exit(missed === 0 ? 0 : 1);

/** Makes the edits of a bug; the result takes them back. */
async function plant(edits: readonly Edit[]): Promise<() => Promise<void>> {
  const originals = new Map<string, string>();
  for (const edit of edits) {
    const path = join(copy, edit.file);
    const text = await readFile(path, "utf8");
    if (!originals.has(path)) originals.set(path, text);
    await writeFile(path, edited(text, edit));
  }
  return async () => {
    for (const [path, text] of originals) await writeFile(path, text);
  };
}

/** The first promise that a life breaks; empty if none does. */
async function findIn(directory: string): Promise<string> {
  const args = [...RUN[CURRENT], join(directory, FINDER), seed, lives];
  const found = await run({ name: "finder", executable: await executable(CURRENT), args, env: {} }, LIMIT_MS);
  if (found.code !== 0) throw new Error(`The simulation did not run: ${found.output}`);
  return found.stdout.trim();
}
