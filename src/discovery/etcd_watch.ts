/**
 * Watches a bucket in etcd: what is there, then a stream of changes, and both again whenever the stream breaks off.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay, type Random } from "../platform/platform.ts";
import type { DiscoveryBucket } from "../protocol/record.ts";
import type { DiscoveryEvent } from "./discovery.ts";
import type { EtcdClient } from "./etcd_client.ts";
import { Pauses } from "./etcd_pauses.ts";
import { Trouble } from "./etcd_trouble.ts";
import { changes, entries, type EtcdJson, rangeOf, revisionOf, watchOf } from "./etcd_wire.ts";

/** How a stream that says nothing is told from one whose member is gone, or cut off from the others. */
export interface EtcdProbe {
  /** Time between two questions to its member; 0 asks none. @unit milliseconds */
  readonly intervalMs: number;
  /** Time for an answer. @unit milliseconds */
  readonly timeoutMs: number;
}

/** What a watch works with. */
export interface EtcdWatchParts {
  /** Calls. */
  readonly client: EtcdClient;
  /** Time. */
  readonly clock: Clock;
  /** Keeps the watches of a fleet apart. */
  readonly random: Pick<Random, "number">;
  /** Log. */
  readonly log: Log;
  /** Questions to the member behind the stream. */
  readonly probe: EtcdProbe;
}

/** Pauses before a stream is opened again. @unit milliseconds @source dynamo-runtime 1.6.1, `transports/etcd.rs` */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/** Reports what is there, then each change. @throws {EtcdError} If what is there cannot be read. */
export async function openEtcdWatch(
  bucket: DiscoveryBucket,
  report: (event: DiscoveryEvent) => void,
  parts: EtcdWatchParts,
): Promise<AsyncDisposable> {
  const watch = new EtcdWatch(bucket, report, parts);
  await watch.open();
  return watch;
}

class EtcdWatch implements AsyncDisposable {
  readonly #bucket: DiscoveryBucket;
  readonly #report: (event: DiscoveryEvent) => void;
  readonly #parts: EtcdWatchParts;
  readonly #stop = new AbortController();
  /** What was reported last, by path. */
  readonly #seen = new Map<string, string>();
  /** The last revision that is in what was reported. */
  #revision = 0n;
  #running: Promise<void> = Promise.resolve();
  readonly #pauses: Pauses;
  readonly #trouble: Trouble;

  constructor(bucket: DiscoveryBucket, report: (event: DiscoveryEvent) => void, parts: EtcdWatchParts) {
    this.#bucket = bucket;
    this.#report = report;
    this.#parts = parts;
    this.#pauses = new Pauses(parts.random, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    this.#trouble = new Trouble(parts.clock, parts.log);
  }

  async open(): Promise<void> {
    this.#replace(await this.#parts.client.call(rangeOf(this.#bucket)));
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { client, clock } = this.#parts;
    for (let isListed = true; !this.#stop.signal.aborted;) {
      try {
        // A break may have hidden anything, also that the store is another one with lower revisions.
        if (!isListed) this.#replace(await client.attempt(rangeOf(this.#bucket)));
        isListed = false;
        await this.#follow();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#tell(error as Error);
      }
      await delay(clock, this.#pauses.next(), this.#stop.signal);
    }
  }

  /** Takes changes until the stream breaks off. */
  async #follow(): Promise<void> {
    const { client } = this.#parts;
    const { origin } = client;
    const over = new AbortController();
    const end = (): void => over.abort();
    this.#stop.signal.addEventListener("abort", end);
    let silence: Error | null = null;
    void this.#oversee(origin, over.signal).catch((error) => {
      silence = error;
      end();
    });
    try {
      if (this.#stop.signal.aborted) end();
      for await (const message of client.stream(origin, watchOf(this.#bucket, this.#revision + 1n), over.signal)) {
        if (message.canceled === true) throw new Error(`etcd ended the watch: ${reasonOf(message)}`);
        if (message.created === true) this.#isBack();
        this.#take(message);
      }
    } catch (error) {
      throw silence ?? error;
    } finally {
      end();
      this.#stop.signal.removeEventListener("abort", end);
    }
  }

  /** Resolves when the stream is over; rejects when its member is. */
  async #oversee(origin: string, over: AbortSignal): Promise<void> {
    const { client, clock, probe: { intervalMs, timeoutMs } } = this.#parts;
    while (intervalMs > 0) {
      await delay(clock, intervalMs, over);
      if (over.aborted) return;
      await client.ping(origin, timeoutMs);
    }
  }

  #replace(range: EtcdJson): void {
    if (this.#stop.signal.aborted) return;
    const found = entries(this.#bucket, range);
    this.#revision = revisionOf(range);
    const gone = new Set(this.#seen.keys());
    for (const { key } of found) gone.delete(key.path);
    for (const { key, value } of found) this.#put(key.path, value);
    for (const path of gone) this.#delete(path);
  }

  /** Takes one message; what it repeats is older than what is known. */
  #take(message: EtcdJson): void {
    if (this.#stop.signal.aborted) return;
    const fresh = changes(this.#bucket, message).filter(({ revision }) => revision > this.#revision);
    for (const { key, value, revision, isDeleted } of fresh) {
      this.#revision = revision;
      isDeleted ? this.#delete(key.path) : this.#put(key.path, value);
    }
  }

  #put(path: string, value: string): void {
    if (this.#seen.get(path) === value) return;
    this.#seen.set(path, value);
    this.#report({ kind: "put", key: { bucket: this.#bucket, path }, value });
  }

  #delete(path: string): void {
    if (this.#seen.delete(path)) this.#report({ kind: "delete", key: { bucket: this.#bucket, path } });
  }

  /** What was seen stays in force meanwhile: a store that cannot be read says nothing about its records. */
  #tell(error: Error): void {
    this.#trouble.tell("Lost sight of discovery at etcd; trying on", { bucket: this.#bucket, error: error.message });
  }

  #isBack(): void {
    this.#pauses.reset();
    if (this.#trouble.over()) this.#parts.log.info("Discovery at etcd is in sight again", { bucket: this.#bucket });
  }
}

function reasonOf({ compact_revision, cancel_reason }: EtcdJson): string {
  if (compact_revision !== undefined) return `changes up to revision ${compact_revision} are compacted`;
  return String(cancel_reason ?? "it says no reason");
}
