/**
 * The records of a worker in etcd: written, deleted, and put back when they are gone.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { DiscoveryKey } from "../protocol/record.ts";
import type { EtcdClient } from "./etcd_client.ts";
import { deleteKey, leasedNames, leaseKeys, nameOf, obstacle, putIfUnchanged } from "./etcd_wire.ts";

/** One thing that is not as it should be. */
export interface EtcdRepair {
  /** Whether a record is published again; else one is deleted. */
  readonly isPut: boolean;
  /** Puts it right, if that is still wanted. Returns the name of a record that was published again. */
  run(): Promise<string | null>;
}

/** How often a write starts over because somebody else changed the key. */
const ATTEMPTS = 5;
/** How long a call is repeated that nobody asked for: what somebody did ask for may be waiting. @unit milliseconds */
const REPAIR_PATIENCE_MS = 5000;

/** The records. What writes must run in turn: a record that is being deleted must not be put back meanwhile. */
export class EtcdRecords {
  readonly #client: EtcdClient;
  readonly #log: Log;
  /** In the order in which they were published first, which is that of a return: a card stands before its endpoint. */
  readonly #owned = new Map<string, { readonly key: DiscoveryKey; readonly value: string }>();
  /** Names that may be in etcd though they should not be. */
  readonly #unwanted = new Set<string>();

  constructor(client: EtcdClient, log: Log) {
    this.#client = client;
    this.#log = log;
  }

  /** Number of records. */
  get size(): number {
    return this.#owned.size;
  }

  /** Whether a name is that of a record of ours. */
  owns(name: string): boolean {
    return this.#owned.has(name);
  }

  /** Writes a record. @throws {Error} If it cannot be written; it is then not owned, or as it was before. */
  async put(key: DiscoveryKey, value: string, lease: bigint): Promise<void> {
    const name = nameOf(key);
    try {
      await this.#write(key, value, lease);
    } catch (error) {
      if (!this.#owned.has(name)) this.#unwanted.add(name);
      throw error;
    }
    this.#owned.set(name, { key, value });
    this.#unwanted.delete(name);
  }

  /** Deletes a record. @throws {EtcdError} If it cannot be deleted; it is then still owned. */
  async delete(key: DiscoveryKey): Promise<void> {
    const name = nameOf(key);
    await this.#client.call(deleteKey(name));
    this.#owned.delete(name);
    this.#unwanted.delete(name);
  }

  /** Deletes a record that is gone already, as far as anybody knows; if it turns out to be there, it goes then. */
  async forget(key: DiscoveryKey): Promise<void> {
    const name = nameOf(key);
    this.#owned.delete(name);
    this.#unwanted.add(name);
    await this.#client.call(deleteKey(name), 0).catch(() => {});
  }

  /**
   * Compares what hangs on the lease with what should.
   *
   * @returns What is to be put right, in that order.
   * @throws {EtcdError} If it cannot be read.
   */
  async inspect(lease: bigint): Promise<EtcdRepair[]> {
    const unwanted = [...this.#unwanted];
    const there = new Set(leasedNames(await this.#client.call(leaseKeys(lease), REPAIR_PATIENCE_MS)));
    const missing = [...this.#owned.keys()].filter((name) => !there.has(name));
    return [
      ...unwanted.map((name) => ({ isPut: false, run: () => this.#remove(name, there.has(name)) })),
      ...missing.map((name) => ({ isPut: true, run: () => this.#putBack(name, lease) })),
    ];
  }

  async #remove(name: string, isThere: boolean): Promise<null> {
    if (isThere && this.#unwanted.has(name)) await this.#client.call(deleteKey(name), REPAIR_PATIENCE_MS);
    this.#unwanted.delete(name);
    return null;
  }

  async #putBack(name: string, lease: bigint): Promise<string | null> {
    const record = this.#owned.get(name);
    if (record === undefined) return null;
    return await this.#write(record.key, record.value, lease, REPAIR_PATIENCE_MS) ? name : null;
  }

  /** Returns whether it was not there already. */
  async #write(key: DiscoveryKey, value: string, lease: bigint, patienceMs?: number): Promise<boolean> {
    let revision = 0n;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const answer = await this.#client.call(putIfUnchanged(key, value, lease, revision), patienceMs);
      if (answer.succeeded === true) return true;
      const other = obstacle(key.bucket, answer);
      if (other?.lease === lease && other.value === value) return false;
      if (other !== null && other.lease !== lease) {
        this.#log.warn("Discovery record replaced: another one stood under its key", { key: nameOf(key) });
      }
      revision = other?.revision ?? 0n;
    }
    throw new Error("somebody else keeps changing it");
  }
}
