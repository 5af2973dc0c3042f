/**
 * The directories of the file backend: atomic publication, listing, expiry. Owns nothing and has no timers.
 *
 * @module
 */
import type { Files, Random } from "../platform/platform.ts";
import { decodeText, encodeText } from "../protocol/payload.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import { decodeFileName, encodeFileName, TEMPORARY_PREFIX } from "./file_name.ts";
import type { Staleness } from "./staleness.ts";

/** What stood in the way of a record. */
export type Displaced = "nothing" | "same" | "other";

/** What is there under a key. */
export type Content = "same" | "other" | "gone";

/** A live record, or one that could be. */
export interface StoredFile {
  /** Its key. */
  readonly key: DiscoveryKey;
  /** Its path on disk. */
  readonly path: string;
  /** Last modification. @unit milliseconds since the Unix epoch */
  readonly modifiedAt: number;
}

/** A file as it stands in the directory; the key of one that is no record has an empty path. */
interface ScannedFile extends StoredFile {
  readonly name: string;
}

/** A record as it was when we touched it last. */
interface Touched {
  readonly value: string;
  readonly modifiedAt: number;
  /** @unit bytes */
  readonly size: number;
}

/** Attempts to publish while somebody keeps deleting the directory. */
const ATTEMPTS = 3;
/** Codes with which file systems say that they have no hard links. */
const NO_LINKS: readonly unknown[] = ["ENOTSUP", "EOPNOTSUPP", "EPERM", "ENOSYS", "EMLINK"];

/** The files under one root. */
export interface FileStore {
  /** Makes a record visible in one step, replacing what is there. */
  publish(key: DiscoveryKey, value: string): Promise<Displaced>;
  /** Compares a record with what it should be. */
  compare(key: DiscoveryKey, value: string): Promise<Content>;
  /**
   * Sets the time of last modification of a record, which has just been compared, to now. As long as that is the time of
   * the file it need not be read to be compared.
   */
  touch(key: DiscoveryKey, value: string): Promise<void>;
  /** Removes a record; one that is gone is fine. */
  remove(key: DiscoveryKey): Promise<void>;
  /** The live records of a bucket; `isOwn` ones are never dead. */
  list(bucket: DiscoveryBucket, isOwn: (key: DiscoveryKey) => boolean): Promise<StoredFile[]>;
  /** Reads a record; `null` if it is gone or nothing was written yet. */
  read(file: StoredFile): Promise<string | null>;
  /** Removes every dead file of a bucket, whoever left it, and returns their names. */
  expire(bucket: DiscoveryBucket, isOwn: (key: DiscoveryKey) => boolean): Promise<string[]>;
  /** Whether the directory of a bucket is there. */
  hasDirectory(bucket: DiscoveryBucket): Promise<boolean>;
}

/**
 * Makes a store; nothing is touched before it is used.
 *
 * No lock is taken: a writer that publishes by link or rename needs none.
 *
 * @source dynamo-runtime 1.6.1, `storage/kv/file.rs`
 */
export function createFileStore(root: string, files: Files, random: Random, staleness: Staleness): FileStore {
  const directory = (bucket: DiscoveryBucket): string => `${root}/${bucket}`;
  const touched = new Map<string, Touched>();
  const pathOf = (key: DiscoveryKey): string => `${directory(key.bucket)}/${encodeFileName(key.path)}`;

  async function publishOnce(key: DiscoveryKey, value: string): Promise<Displaced> {
    await files.makeDirectory(directory(key.bucket));
    const suffix = random.u64().toString(16).padStart(16, "0");
    const temporary = `${directory(key.bucket)}/${TEMPORARY_PREFIX}${suffix}`;
    try {
      await files.write(temporary, encodeText(value));
      try {
        await files.link(temporary, pathOf(key));
        return "nothing";
      } catch (error) {
        if (codeOf(error) !== "EEXIST" && !NO_LINKS.includes(codeOf(error))) throw error;
      }
      // A rename is as atomic as a link; it only cannot say whether the name was free.
      const content = await compare(key, value);
      await files.rename(temporary, pathOf(key));
      return content === "gone" ? "nothing" : content;
    } finally {
      await unlessGone(files.remove(temporary));
    }
  }

  async function compare(key: DiscoveryKey, value: string): Promise<Content> {
    if (await isUntouched(key, value)) return "same";
    const bytes = await unlessGone(files.read(pathOf(key)));
    if (bytes === null) return "gone";
    return sameBytes(bytes, encodeText(value)) ? "same" : "other";
  }

  /** Whether nobody has modified a record since we touched it. A process with many records looks at all of them often. */
  async function isUntouched(key: DiscoveryKey, value: string): Promise<boolean> {
    const path = pathOf(key);
    const last = touched.get(path);
    if (last === undefined || last.value !== value) return false;
    const info = await unlessGone(files.stat(path));
    return info?.modifiedAt === last.modifiedAt && info.size === last.size;
  }

  async function touch(key: DiscoveryKey, value: string): Promise<void> {
    const path = pathOf(key);
    touched.delete(path);
    await files.touch(path);
    const { modifiedAt, size } = await files.stat(path);
    if (size === encodeText(value).length) touched.set(path, { value, modifiedAt, size });
  }

  /** Regular files of a bucket with their ages. */
  async function scan(bucket: DiscoveryBucket): Promise<ScannedFile[]> {
    const names = await unlessGone(files.list(directory(bucket))) ?? [];
    const found = await Promise.all(names.map(async (name) => {
      const path = `${directory(bucket)}/${name}`;
      const info = await unlessGone(files.stat(path));
      if (info === null || info.isDirectory) return [];
      return [{ name, path, modifiedAt: info.modifiedAt, key: { bucket, path: decodeFileName(name) ?? "" } }];
    }));
    return found.flat();
  }

  /** The files of a bucket, told apart: ours and everybody's living ones, and the dead. */
  async function sort(
    bucket: DiscoveryBucket,
    isOwn: (key: DiscoveryKey) => boolean,
  ): Promise<{ readonly dead: ReadonlySet<ScannedFile>; readonly live: readonly ScannedFile[] }> {
    const all = await scan(bucket);
    const foreign = all.filter((file) => !isOwn(file.key));
    const isDead = staleness.judge(foreign.map((file) => file.modifiedAt));
    const dead = new Set(foreign.filter((file) => isDead(file.modifiedAt)));
    return { dead, live: all.filter((file) => !dead.has(file)) };
  }

  return {
    compare,
    async publish(key, value) {
      for (let attempt = 1;; attempt++) {
        try {
          return await publishOnce(key, value);
        } catch (error) {
          // The directory went away after it was made.
          if (codeOf(error) !== "ENOENT" || attempt === ATTEMPTS) throw error;
        }
      }
    },
    touch,
    async remove(key) {
      touched.delete(pathOf(key));
      await unlessGone(files.remove(pathOf(key)));
    },
    async list(bucket, isOwn) {
      const { live } = await sort(bucket, isOwn);
      return live.filter((file) => file.key.path !== "");
    },
    async read(file) {
      const bytes = await unlessGone(files.read(file.path));
      return bytes === null || bytes.length === 0 ? null : decodeLeniently(bytes);
    },
    async expire(bucket, isOwn) {
      const { dead } = await sort(bucket, isOwn);
      for (const file of dead) await unlessGone(files.remove(file.path));
      return [...dead].map((file) => file.name);
    },
    async hasDirectory(bucket) {
      return await unlessGone(files.stat(directory(bucket))) !== null;
    },
  };
}

/** The code of a file system error, such as `ENOENT`. */
export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

async function unlessGone<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** Bytes that are no text are still reported: it is for the reader of the record to refuse them. */
function decodeLeniently(bytes: Uint8Array): string {
  try {
    return decodeText(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
