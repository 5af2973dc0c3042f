/**
 * Runs the live tests: the files that mostly wait a few at a time, then, one after the other, those that would disturb
 * each other. With `STATOR_RUNTIME=bun` it leaves out what is the same on whatever runtime the worker is, since a run
 * with Deno has shown it. Arguments are files; without any, all are run. `DENO_JOBS` is how many files run at a time.
 *
 * @module
 */
import { basename, join } from "node:path";

const FOLDER = import.meta.dirname!;

const PACKS = "it packs the package into dist/";

/** Files that have the machine for themselves, and why. */
const ALONE: Readonly<Record<string, string>> = {
  "create.test.ts": PACKS,
  "guide.test.ts": PACKS,
  "package.test.ts": PACKS,
  "kv_slow.test.ts": "it floods one subscriber and must not be slow for the other",
  "shutdown.test.ts": "deadlines run out in it, and what a worker gets done before depends on the load",
  "timelines.test.ts": "it watches a store to tell the order of what happens within milliseconds",
  "zmtp_rate.test.ts": "it measures messages a second",
};

const BOTH = "it starts what it tests on both runtimes";
const SOCKETS = "it opens the sockets in the test itself";

/** Files that say nothing of the runtime in `STATOR_RUNTIME`, and why. */
const ONCE: Readonly<Record<string, string>> = {
  "create.test.ts": BOTH,
  "executable.test.ts": "it starts executables, which hold their runtime",
  "guide.test.ts": "it types the guide's own commands",
  "package.test.ts": BOTH,
  "start_failure.test.ts": BOTH,
  "zmtp.test.ts": SOCKETS,
  "zmtp_rate.test.ts": SOCKETS,
};

const here = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith(".test.ts")).sort();
for (const name of [...Object.keys(ALONE), ...Object.keys(ONCE), ...Deno.args.map((path) => basename(path))]) {
  if (!here.includes(name)) throw new RangeError(`There is no ${name} in ${FOLDER}`);
}

const isSecondRun = Deno.env.get("STATOR_RUNTIME") === "bun";
const wanted = here.filter((name) => {
  if (Deno.args.length > 0) return Deno.args.some((path) => basename(path) === name);
  if (!isSecondRun || ONCE[name] === undefined) return true;
  console.log(`left out with STATOR_RUNTIME=bun: ${name}: ${ONCE[name]}`);
  return false;
});
const isAlone = (name: string) => ALONE[name] !== undefined;

const together = await run(wanted.filter((name) => !isAlone(name)), ["--parallel"]);
for (const name of wanted.filter(isAlone)) console.log(`alone: ${name}: ${ALONE[name]}`);
const alone = await run(wanted.filter(isAlone), []);
Deno.exit(together && alone ? 0 : 1);

/** Runs `deno test` on files; whether all passed. */
async function run(names: readonly string[], options: readonly string[]): Promise<boolean> {
  if (names.length === 0) return true;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...options, ...names.map((name) => join(FOLDER, name))],
    env: { DENO_JOBS: Deno.env.get("DENO_JOBS") ?? "3" },
  }).spawn().status;
  return success;
}
