/**
 * A file system in memory.
 *
 * @module
 */
import type { Clock, FileInfo, Files } from "../../platform/platform.ts";

/** A file's content is shared by its links. */
interface Inode {
  bytes: Uint8Array;
  modifiedAt: number;
}

/**
 * Files in memory. `failures` makes an operation fail with a code, for as long as it is set; `hooks` are called with
 * the path before an operation is done.
 */
export class MemoryFiles implements Files {
  /** @inheritDoc */
  readonly temporaryDirectory = "/tmp";
  /** @inheritDoc */
  readonly workingDirectory = "/home/dynamo";
  /** Codes that operations fail with. */
  readonly failures: Map<keyof Files, string> = new Map();
  /** What is done before operations. */
  readonly hooks: Map<keyof Files, (path: string) => void | Promise<void>> = new Map();
  /** All directories. */
  readonly directories: Set<string> = new Set(["/", "/tmp", "/home/dynamo"]);
  /** Told when the names of files have changed. */
  onChange: () => void = () => {};
  readonly #inodes = new Map<string, Inode>();
  readonly #clock: Pick<Clock, "wallTime">;

  /** Makes a file system with three empty directories. @param clock Tells when files are modified. */
  constructor(clock: Pick<Clock, "wallTime">) {
    this.#clock = clock;
  }

  /** @inheritDoc */
  read(path: string): Promise<Uint8Array> {
    return this.#run("read", path, () => this.#inode(path).bytes.slice());
  }

  /** @inheritDoc */
  write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#run("write", path, () => {
      this.#assertParent(path);
      this.#inodes.set(path, { bytes: bytes.slice(), modifiedAt: this.#clock.wallTime() });
      this.onChange();
    });
  }

  /** @inheritDoc */
  link(from: string, to: string): Promise<void> {
    return this.#run("link", from, () => {
      const inode = this.#inode(from);
      this.#assertParent(to);
      if (this.#inodes.has(to)) throw failure("EEXIST", to);
      this.#inodes.set(to, inode);
      this.onChange();
    });
  }

  /** @inheritDoc */
  rename(from: string, to: string): Promise<void> {
    return this.#run("rename", from, () => {
      const inode = this.#inode(from);
      this.#assertParent(to);
      this.#inodes.delete(from);
      this.#inodes.set(to, inode);
      this.onChange();
    });
  }

  /** @inheritDoc */
  remove(path: string): Promise<void> {
    return this.#run("remove", path, () => {
      this.#inode(path);
      this.#inodes.delete(path);
      this.onChange();
    });
  }

  /** @inheritDoc */
  makeDirectory(path: string): Promise<void> {
    return this.#run("makeDirectory", path, () => {
      for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) this.directories.add(at);
    });
  }

  /** @inheritDoc */
  list(path: string): Promise<string[]> {
    return this.#run("list", path, () => {
      if (!this.directories.has(path)) throw failure("ENOENT", path);
      const all = [...this.#inodes.keys(), ...this.directories];
      return all.filter((other) => other.startsWith(`${path}/`)).map((other) => other.slice(path.length + 1))
        .filter((name) => !name.includes("/"));
    });
  }

  /** @inheritDoc */
  stat(path: string): Promise<FileInfo> {
    return this.#run("stat", path, () => {
      if (this.directories.has(path)) return { modifiedAt: 0, size: 0, isDirectory: true };
      const { bytes, modifiedAt } = this.#inode(path);
      return { modifiedAt, size: bytes.length, isDirectory: false };
    });
  }

  /** @inheritDoc */
  touch(path: string): Promise<void> {
    return this.#run("touch", path, () => {
      this.#inode(path).modifiedAt = this.#clock.wallTime();
    });
  }

  /** Paths of all files, sorted. */
  get paths(): string[] {
    return [...this.#inodes.keys()].sort();
  }

  /** Removes a directory with all that is in it. */
  removeDirectory(path: string): void {
    for (const file of this.paths) if (file.startsWith(`${path}/`)) this.#inodes.delete(file);
    for (const other of [...this.directories]) {
      if (other === path || other.startsWith(`${path}/`)) this.directories.delete(other);
    }
    this.onChange();
  }

  /** Waits, so that callers meet each other as they do on a disk. */
  async #run<T>(operation: keyof Files, path: string, action: () => T): Promise<T> {
    await Promise.resolve();
    await this.hooks.get(operation)?.(path);
    const code = this.failures.get(operation);
    if (code !== undefined) throw failure(code, path);
    return action();
  }

  #inode(path: string): Inode {
    const inode = this.#inodes.get(path);
    if (inode === undefined) throw failure("ENOENT", path);
    return inode;
  }

  #assertParent(path: string): void {
    if (!this.directories.has(path.slice(0, path.lastIndexOf("/")))) throw failure("ENOENT", path);
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
