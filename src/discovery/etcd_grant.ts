/**
 * Leases as etcd grants them.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import type { EtcdClient } from "./etcd_client.ts";
import { EtcdError } from "./etcd_error.ts";
import { integer, leaseGrant, revisionOf } from "./etcd_wire.ts";

/** A lease as it was granted. */
export interface Grant {
  /** Its number. */
  readonly id: bigint;
  /** How long it lives without being renewed. @unit milliseconds */
  readonly ttlMs: number;
  /** When it was asked for, by the monotonic clock. @unit milliseconds */
  readonly grantedAt: number;
  /** The store's revision then. */
  readonly revision: bigint;
}

/** What lease is asked for. */
export interface GrantOptions {
  /** How long it should live. @unit seconds */
  readonly ttlSeconds: number;
  /** Its number. @default etcd picks one */
  readonly id?: bigint;
}

/** Asks once for a lease. @throws {EtcdError} `taken` if there is one of that number. */
export async function grantLease(client: EtcdClient, clock: Clock, options: GrantOptions): Promise<Grant> {
  const grantedAt = clock.now();
  const answer = await client.attempt(leaseGrant(options.ttlSeconds, options.id));
  const [id, ttl] = [integer(answer.ID), Number(integer(answer.TTL))];
  if (id <= 0n || ttl <= 0 || id !== (options.id ?? id)) {
    throw new EtcdError("refused", `etcd granted no lease, or another than was asked for: ${JSON.stringify(answer)}`);
  }
  return { id, ttlMs: 1000 * ttl, grantedAt, revision: revisionOf(answer) };
}
