/**
 * File systems for tests: one in memory on a given clock, and directories on disk that remove themselves.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export { MemoryFiles } from "../../src/testing/simulation/memory_files.ts";

/** A fresh directory on disk; disposing it removes it. */
export async function openTemporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "stator-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
