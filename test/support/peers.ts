/**
 * Finds the real peers that live tests need, see `peers/setup.sh`.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { start } from "./processes.ts";

/** Root of the repository. */
export const REPOSITORY: string = fileURLToPath(new URL("../../", import.meta.url));

const PEERS_FOLDER = join(REPOSITORY, "test/support/peers");

/** The byte-level model of the captures: token id = byte - 33 for printable ASCII, 257 ends. */
export const TINY_MODEL: string = join(PEERS_FOLDER, "tiny-model");

/** The same with a word for every id up to 4095. */
export const TINY_WORDS_MODEL: string = join(PEERS_FOLDER, "tiny-words-model");

/** Dynamo version the peers are installed in. */
export const DYNAMO_VERSION: string = process.env.DYNAMO_VERSION ?? "1.6.1";

/** Where `setup.sh` puts things: `STATOR_PEERS`, else `.peers` in the repository. */
export const PEERS: string = process.env.STATOR_PEERS ?? join(REPOSITORY, ".peers");

/** Python of the peers. */
export const PYTHON: string = join(PEERS, `dynamo-${DYNAMO_VERSION}/bin/python`);

/** The part of a test's context used here; Bun and Deno both have it. */
export interface Skippable {
  skip(reason?: string): void;
}

/**
 * Whether the peers are there. If not, skips the test with a printed reason, or fails it when `STATOR_REQUIRE_PEERS=1`.
 * Return from the test on `false`: not every runner stops at `skip`.
 */
export function requirePeers(test: Skippable): boolean {
  const missing = missingPeers();
  if (missing === undefined) return true;
  if (process.env.STATOR_REQUIRE_PEERS === "1") throw new Error(missing);
  console.log(`skipped: ${missing}`);
  test.skip(missing);
  return false;
}

/** Why a test of Dynamo's own workers, which shows that ours are held to the truth, need not run twice. */
export const DYNAMO_ALONE = "no worker in it is Stator's";

/**
 * The `skip` of a test that is the same whatever runtime `STATOR_RUNTIME` names: of the two runs that there are, the one
 * with Bun leaves it out, and prints why.
 */
export function notTwice(reason: string): string | false {
  if (process.env.STATOR_RUNTIME !== "bun") return false;
  console.log(`skipped with STATOR_RUNTIME=bun: ${reason}`);
  return reason;
}

/** Why live tests cannot run here; `undefined` if they can. */
export function missingPeers(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "the peers run on Linux x86-64 only";
  if (existsSync(join(PEERS, `dynamo-${DYNAMO_VERSION}/.ready`))) return undefined;
  return `no peers in ${PEERS}; install them with test/support/peers/setup.sh and set STATOR_PEERS`;
}

// Two runs may unpack at the same time: each writes its own file, and the rename is atomic.
const UNPACK = `
import lzma, os, shutil, sys
source, target = sys.argv[1:]
part = f"{target}.{os.getpid()}"
os.makedirs(os.path.dirname(target), exist_ok=True)
with lzma.open(source) as packed, open(part, "wb") as plain:
    shutil.copyfileobj(packed, plain)
os.chmod(part, 0o755)
os.rename(part, target)
`;

/** Unpacks one of the programs in `peers/bin` next to the peers, once, and returns its path. */
export async function unpackBinary(name: "rust-sample" | "rust-load"): Promise<string> {
  const target = join(PEERS, "bin", name);
  if (existsSync(target)) return target;
  const source = join(PEERS_FOLDER, "bin", `${name}.xz`);
  await using child = start({
    name: `unpack ${name}`,
    executable: PYTHON,
    args: ["-c", UNPACK, source, target],
    env: {},
  });
  const exit = await child.exit(120_000);
  if (exit.code !== 0) throw new Error(`Cannot unpack ${name}: ${child.output()}`);
  return target;
}
