/**
 * File systems for tests: one in memory on a given clock, and directories on disk that remove themselves.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export { MemoryFiles } from "../../src/testing/simulation/memory_files.ts";

/** A fresh directory on disk; disposing it removes it. */
export async function openTemporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "stator-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A fresh file on disk with a text in it; disposing it removes it. */
export async function openTemporaryFile(
  name: string,
  text: string,
): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = await openTemporaryDirectory();
  const path = join(directory.path, name);
  await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}
