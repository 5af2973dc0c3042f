/**
 * Captures of real Dynamo processes.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

const ROOT = new URL("../golden/", import.meta.url);

/** The text of a capture; `path` is relative to `test/golden`. */
export function goldenText(path: string): string {
  return readFileSync(new URL(path, ROOT), "utf8");
}

/** The bytes of a capture. */
export function goldenBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, ROOT)));
}

/** Names of the captures in a folder of `test/golden`. */
export function goldenNames(folder: string): string[] {
  return readdirSync(new URL(folder, ROOT)).sort();
}

/** One stored entry of a discovery store. */
export interface GoldenEntry {
  /** Name of the run. */
  readonly capture: string;
  /** Kind of record. */
  readonly bucket: string;
  /** Path inside the bucket. */
  readonly key: string;
  /** Name in the file backend. */
  readonly file_name: string;
  /** The stored bytes. */
  readonly value: string;
}

/** All stored entries, or those of one run. */
export function goldenEntries(capture?: string): GoldenEntry[] {
  const names = readdirSync(new URL("discovery/cards/", ROOT)).sort().map((name) => name.replace(/\.jsonl$/, ""));
  return names.filter((name) => capture === undefined || name === capture).flatMap((name) =>
    goldenText(`discovery/cards/${name}.jsonl`).split("\n").filter((line) => line !== "")
      .map((line) => ({ capture: name, ...JSON.parse(line) }))
  );
}
