/**
 * Watches a bucket of the file backend by looking at it again and again.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Clock } from "../platform/platform.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { DiscoveryEvent } from "./discovery.ts";
import type { FileStore, StoredFile } from "./file_store.ts";

/** What a watch works with. */
export interface FileWatchOptions {
  /** The files. */
  readonly store: FileStore;
  /** Time and timers. */
  readonly clock: Clock;
  /** Where trouble is told. */
  readonly log: Log;
  /** Time between two looks. @unit milliseconds */
  readonly pollMs: number;
  /** Whether a record is ours, and so never dead. */
  readonly isOwn: (key: DiscoveryKey) => boolean;
}

/** A record as it was last reported. */
interface Seen {
  readonly key: DiscoveryKey;
  readonly modifiedAt: number;
  readonly value: string;
}

/** Reports what is there, then each change; files that were only touched are not reported. */
export async function openFileWatch(
  bucket: DiscoveryBucket,
  report: (event: DiscoveryEvent) => void,
  options: FileWatchOptions,
): Promise<AsyncDisposable> {
  const { store, clock, log } = options;
  const seen = new Map<string, Seen>();
  let timer: Disposable | null = null;
  let isClosed = false;
  let hasFailed = false;

  async function look(): Promise<void> {
    const files = await store.list(bucket, options.isOwn);
    const found: { readonly file: StoredFile; readonly value: string }[] = [];
    for (const file of files) {
      const before = seen.get(file.key.path);
      // Only a file that was touched or replaced can have changed.
      const value = before?.modifiedAt === file.modifiedAt ? before.value : await store.read(file);
      if (value !== null) found.push({ file, value });
    }
    if (isClosed) return;
    const gone = new Set(seen.keys());
    for (const { file: { key, modifiedAt }, value } of found) {
      gone.delete(key.path);
      const before = seen.get(key.path);
      seen.set(key.path, { key, modifiedAt, value });
      if (before?.value !== value) report({ kind: "put", key, value });
    }
    for (const path of gone) {
      seen.delete(path);
      report({ kind: "delete", key: { bucket, path } });
    }
  }

  async function lookAgain(): Promise<void> {
    try {
      await look();
      hasFailed = false;
    } catch (error) {
      // What was seen stays in force: a store that cannot be read says nothing about its records.
      if (!hasFailed) log.warn("Cannot read discovery directory", { bucket, error });
      hasFailed = true;
    }
    arm();
  }

  let running: Promise<void> = Promise.resolve();
  const arm = (): void => {
    if (isClosed) return;
    timer = clock.timer(options.pollMs, () => {
      running = lookAgain();
    });
  };

  await look();
  arm();
  return {
    async [Symbol.asyncDispose]() {
      isClosed = true;
      timer?.[Symbol.dispose]();
      await running;
    },
  };
}
