/**
 * Files over `node:fs`.
 *
 * @module
 */
import { link, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { cwd } from "node:process";
import type { Files } from "./platform.ts";

/** Files of this machine. */
export const files: Files = {
  async read(path: string): Promise<Uint8Array> {
    const bytes = await readFile(path);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },
  write: (path: string, bytes: Uint8Array): Promise<void> => writeFile(path, bytes),
  link: (from: string, to: string): Promise<void> => link(from, to),
  rename: (from: string, to: string): Promise<void> => rename(from, to),
  remove: (path: string): Promise<void> => rm(path),
  async makeDirectory(path: string): Promise<void> {
    await mkdir(path, { recursive: true });
  },
  list: (path: string): Promise<string[]> => readdir(path),
  async stat(path: string): Promise<{ modifiedAt: number; size: number; isDirectory: boolean }> {
    const info = await stat(path);
    return { modifiedAt: info.mtimeMs, size: info.size, isDirectory: info.isDirectory() };
  },
  async touch(path: string): Promise<void> {
    const now = new Date();
    await utimes(path, now, now);
  },
  temporaryDirectory: tmpdir(),
  workingDirectory: cwd(),
};
