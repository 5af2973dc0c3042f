/**
 * Discovery inside one process: every party opens the same store.
 *
 * @module
 */
import type { Random } from "../platform/platform.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { Discovery, DiscoveryEvent } from "./discovery.ts";

/** A record and whose it is. */
interface Entry {
  readonly key: DiscoveryKey;
  readonly value: string;
  readonly owner: object;
}

/** The records that parties of one process share; open it with {@linkcode openMemDiscovery}. */
export class MemStore {
  readonly #buckets = new Map<DiscoveryBucket, Map<string, Entry>>();
  readonly #watches = new Map<DiscoveryBucket, Set<(event: DiscoveryEvent) => void>>();

  /** Puts a record and reports it, unless it is there already. */
  put(entry: { readonly key: DiscoveryKey; readonly value: string; readonly owner: object }): void {
    const bucket = this.#bucket(entry.key.bucket);
    const before = bucket.get(entry.key.path);
    bucket.set(entry.key.path, entry);
    if (before?.value !== entry.value) this.#report({ kind: "put", key: entry.key, value: entry.value });
  }

  /** Deletes a record; with an owner, only if it is theirs. */
  delete(key: DiscoveryKey, owner?: object): void {
    const entry = this.#bucket(key.bucket).get(key.path);
    if (entry === undefined || (owner !== undefined && entry.owner !== owner)) return;
    this.#bucket(key.bucket).delete(key.path);
    this.#report({ kind: "delete", key });
  }

  /** The records of a bucket. */
  list(bucket: DiscoveryBucket): readonly { readonly key: DiscoveryKey; readonly value: string }[] {
    return [...this.#bucket(bucket).values()].map(({ key, value }) => ({ key, value }));
  }

  /** Reports what is there, then each change, until disposed. */
  watch(bucket: DiscoveryBucket, report: (event: DiscoveryEvent) => void): Disposable {
    for (const { key, value } of this.list(bucket)) report({ kind: "put", key, value });
    const reports = this.#watches.get(bucket) ?? new Set();
    this.#watches.set(bucket, reports);
    // A function of its own, so that one function can watch twice.
    const watch = (event: DiscoveryEvent): void => report(event);
    reports.add(watch);
    return { [Symbol.dispose]: () => void reports.delete(watch) };
  }

  #bucket(name: DiscoveryBucket): Map<string, Entry> {
    const bucket = this.#buckets.get(name) ?? new Map<string, Entry>();
    this.#buckets.set(name, bucket);
    return bucket;
  }

  #report(event: DiscoveryEvent): void {
    for (const report of [...this.#watches.get(event.key.bucket) ?? []]) report(event);
  }
}

/** Opens a store for one party, under a random instance id. */
export function openMemDiscovery(store: MemStore, platform: { readonly random: Random }): Promise<Discovery> {
  return Promise.resolve(createMemDiscovery(store, platform.random.u64()));
}

function createMemDiscovery(store: MemStore, instanceId: bigint): Discovery {
  const owned = new Map<string, DiscoveryKey>();
  const watches = new Set<Disposable>();
  let isClosed = false;
  return {
    name: "mem",
    instanceId,
    put(key, value) {
      if (isClosed) return Promise.reject(new Error("Cannot publish record: discovery is closed"));
      owned.set(`${key.bucket}/${key.path}`, key);
      store.put({ key, value, owner: owned });
      return Promise.resolve();
    },
    delete(key) {
      owned.delete(`${key.bucket}/${key.path}`);
      store.delete(key);
      return Promise.resolve();
    },
    list: (bucket) => Promise.resolve(store.list(bucket)),
    watch(bucket, report) {
      const watch = store.watch(bucket, report);
      watches.add(watch);
      return Promise.resolve({
        [Symbol.asyncDispose]() {
          watches.delete(watch);
          watch[Symbol.dispose]();
          return Promise.resolve();
        },
      });
    },
    [Symbol.asyncDispose]() {
      isClosed = true;
      for (const watch of watches) watch[Symbol.dispose]();
      for (const key of [...owned.values()].reverse()) store.delete(key, owned);
      owned.clear();
      return Promise.resolve();
    },
  };
}
