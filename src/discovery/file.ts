/**
 * Discovery on a directory, shared with Dynamo's own processes: a record is a file that its owner keeps touching.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Platform } from "../platform/platform.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { Discovery } from "./discovery.ts";
import { createFileStore } from "./file_store.ts";
import { openFileWatch } from "./file_watch.ts";
import { createStaleness } from "./staleness.ts";

/** Settings of the file backend. */
export interface FileDiscoveryOptions {
  /** Directory of the store. @env DYN_FILE_KV @default `dynamo_store_kv` in the directory for temporary files */
  readonly root: string;
  /** Time, files and random numbers. */
  readonly platform: Pick<Platform, "clock" | "files" | "random">;
  /** Where is told what happened to our records. */
  readonly log: Log;
  /** Age at which an untouched file is dead; the same for all processes of a store. @unit milliseconds @default 10000 */
  readonly ttlMs?: number;
  /** Time between two looks of a watch. @unit milliseconds @default 250 */
  readonly pollMs?: number;
  /** Whether dead files of others are looked for; one party of a process is enough. @default true */
  readonly sweeps?: boolean;
}

/** Age at which a file that nobody touched is dead. @unit milliseconds @source dynamo-runtime 1.6.1, `storage/kv/file.rs` */
export const FILE_TTL_MS = 10_000;
/** Least time between two keep-alives. @unit milliseconds @source as above */
const MIN_BEAT_MS = 1000;
const DEFAULT_POLL_MS = 250;

/** A record of ours. */
interface Owned {
  readonly key: DiscoveryKey;
  readonly value: string;
}

/**
 * Opens the store. Every `max(ttl / 3, 1 s)` our files are touched and the dead files of others are removed.
 *
 * A record of ours that has vanished, because this process was paused for too long or because somebody deleted it, is
 * published again; so is one whose content was changed. A stock worker stays away in the first case, and out of date
 * in the second.
 *
 * @source dynamo-runtime 1.6.1, `storage/kv/file.rs`
 */
export function openFileDiscovery(options: FileDiscoveryOptions): Promise<Discovery> {
  return Promise.resolve(new FileDiscovery(options));
}

class FileDiscovery implements Discovery {
  readonly name = "file";
  readonly instanceId: bigint;
  readonly #options: FileDiscoveryOptions;
  readonly #ttlMs: number;
  readonly #store: ReturnType<typeof createFileStore>;
  readonly #owned = new Map<string, Owned>();
  readonly #buckets = new Set<DiscoveryBucket>();
  readonly #watches = new Set<AsyncDisposable>();
  #timer: Disposable | null = null;
  #beating: Promise<void> = Promise.resolve();
  #lastBeatAt: number;
  #tail: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: FileDiscoveryOptions) {
    const { clock, files, random } = options.platform;
    this.#options = options;
    this.#ttlMs = options.ttlMs ?? FILE_TTL_MS;
    this.#store = createFileStore(options.root, files, random, createStaleness(clock, this.#ttlMs));
    this.instanceId = random.u64();
    this.#lastBeatAt = clock.now();
    this.#arm();
  }

  async put(key: DiscoveryKey, value: string): Promise<void> {
    this.#assertOpen();
    this.#buckets.add(key.bucket);
    await this.#inTurn(async () => {
      this.#assertOpen();
      const displaced = await this.#store.publish(key, value).catch((cause) => this.#explain(cause));
      if (displaced === "other" && !this.#owned.has(nameOf(key))) {
        this.#options.log.warn("Discovery record replaced: another one stood under its key", { key: nameOf(key) });
      }
      this.#owned.set(nameOf(key), { key, value });
    });
  }

  #explain(cause: Error): never {
    const { root } = this.#options;
    throw new Error(`Cannot write to the discovery store ${root}: ${cause.message} (DYN_FILE_KV names a folder)`, {
      cause,
    });
  }

  async delete(key: DiscoveryKey): Promise<void> {
    await this.#inTurn(async () => {
      this.#owned.delete(nameOf(key));
      await this.#store.remove(key);
    });
  }

  async list(bucket: DiscoveryBucket): Promise<Owned[]> {
    this.#assertOpen();
    this.#buckets.add(bucket);
    const records: Owned[] = [];
    for (const file of await this.#store.list(bucket, this.#isOwn)) {
      const value = await this.#store.read(file);
      if (value !== null) records.push({ key: file.key, value });
    }
    return records;
  }

  async watch(bucket: DiscoveryBucket, report: Parameters<Discovery["watch"]>[1]): Promise<AsyncDisposable> {
    this.#assertOpen();
    this.#buckets.add(bucket);
    const watch = await openFileWatch(bucket, report, {
      store: this.#store,
      clock: this.#options.platform.clock,
      log: this.#options.log,
      pollMs: this.#options.pollMs ?? DEFAULT_POLL_MS,
      isOwn: this.#isOwn,
    });
    // Closed meanwhile: nobody else would stop it.
    if (this.#isClosed) await watch[Symbol.asyncDispose]();
    this.#watches.add(watch);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#watches.delete(watch);
        await watch[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#beating;
    await Promise.all([...this.#watches].map((watch) => watch[Symbol.asyncDispose]()));
    await this.#inTurn(async () => {
      for (const { key, value } of [...this.#owned.values()].reverse()) {
        this.#owned.delete(nameOf(key));
        await this.#attempt("Cannot delete discovery record", key, async () => {
          // Somebody else has put theirs in its place: that one is not ours to delete.
          if (await this.#store.compare(key, value) === "same") await this.#store.remove(key);
        });
      }
    });
  }

  readonly #isOwn = (key: DiscoveryKey): boolean => this.#owned.has(nameOf(key));

  #assertOpen(): void {
    if (this.#isClosed) throw new Error("Cannot use file discovery: it is closed");
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.platform.clock.timer(Math.max(this.#ttlMs / 3, MIN_BEAT_MS), () => {
      this.#beating = this.#beat().finally(() => this.#arm());
    });
  }

  async #beat(): Promise<void> {
    const now = this.#options.platform.clock.now();
    const silentMs = now - this.#lastBeatAt;
    this.#lastBeatAt = now;
    for (const record of [...this.#owned.values()]) {
      const { key } = record;
      await this.#attempt(
        "Cannot keep discovery record alive",
        key,
        () => this.#inTurn(() => this.#keep(record, silentMs)),
      );
    }
    for (const bucket of this.#options.sweeps === false ? [] : this.#buckets) {
      try {
        // In turn, or a file that we are just replacing could be taken for dead.
        const expired = await this.#inTurn(() => this.#store.expire(bucket, this.#isOwn));
        if (expired.length > 0) this.#options.log.info("Expired discovery records removed", { bucket, files: expired });
      } catch (error) {
        this.#options.log.warn("Cannot remove expired discovery records", { bucket, error });
      }
    }
  }

  /** Touches a record of ours, or puts it back. */
  async #keep(record: Owned, silentMs: number): Promise<void> {
    const { key, value } = record;
    // Deleted or replaced by us since this beat began: publishing it now would raise a dead record.
    if (this.#owned.get(nameOf(key)) !== record) return;
    const content = await this.#store.compare(key, value);
    if (content === "same") {
      try {
        return await this.#store.touch(key, value);
      } catch {
        // Gone since it was compared, or not ours to touch: a new file is both there and ours.
      }
    }
    const reason = content === "other" ? "its content was changed" : await this.#whyGone(key.bucket, silentMs);
    await this.#store.publish(key, value);
    this.#options.log.warn("Discovery record published again", { key: nameOf(key), reason });
  }

  async #whyGone(bucket: DiscoveryBucket, silentMs: number): Promise<string> {
    if (silentMs > this.#ttlMs) {
      const [pause, ttl] = [silentMs / 1000, this.#ttlMs / 1000].map((seconds) => seconds.toFixed(1));
      return `this process was paused for ${pause} s, longer than the ${ttl} s a record lives`;
    }
    return await this.#store.hasDirectory(bucket) ? "somebody deleted it" : "somebody deleted its directory";
  }

  async #attempt(message: string, key: DiscoveryKey, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#options.log.warn(message, { key: nameOf(key), error });
    }
  }

  /** Runs changes one after the other: a keep-alive must not raise a record that is being deleted. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(action);
    this.#tail = result.catch(() => {});
    return result;
  }
}

function nameOf(key: DiscoveryKey): string {
  return `${key.bucket}/${key.path}`;
}
