/**
 * The discovery seam: where workers publish records and frontends find them.
 *
 * @module
 */
import type { DiscoveryKey } from "../protocol/record.ts";

/** One change of a watched bucket. A deletion carries only the key. */
export type DiscoveryEvent =
  | { readonly kind: "put"; readonly key: DiscoveryKey; readonly value: string }
  | { readonly kind: "delete"; readonly key: DiscoveryKey };

/**
 * A store of records that live as long as this process keeps them alive.
 *
 * Disposing it deletes every record put through it and not yet deleted, then stops its timers and watches.
 */
export interface Discovery extends AsyncDisposable {
  /** Name of the backend, as in `--discovery-backend`. */
  readonly name: string;
  /** Identity of this worker in the store: an unsigned 64-bit number. */
  readonly instanceId: bigint;
  /**
   * Publishes a record, atomically, and keeps it alive until it is deleted.
   *
   * @param value Compact JSON.
   * @throws {Error} If the record is not in the store, the key then is not owned either.
   */
  put(key: DiscoveryKey, value: string): Promise<void>;
  /** Deletes a record; one that is gone already is fine. */
  delete(key: DiscoveryKey): Promise<void>;
  /** What this worker has published, as JSON for `GET /metadata`; absent where a stock worker has nothing to show. */
  metadata?(): string;
  /** Lists a bucket. */
  list(bucket: DiscoveryKey["bucket"]): Promise<readonly { readonly key: DiscoveryKey; readonly value: string }[]>;
  /**
   * Reports the records of a bucket that are there now, then each change, until the returned watch is disposed.
   * A record that is published again unchanged is not reported again.
   */
  watch(bucket: DiscoveryKey["bucket"], report: (event: DiscoveryEvent) => void): Promise<AsyncDisposable>;
}
