/**
 * The lease that all records of a worker hang on, and whose number is the worker's instance id.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import type { EtcdClient } from "./etcd_client.ts";
import { EtcdError } from "./etcd_error.ts";
import { integer, leaseGrant, leaseKeepAlive } from "./etcd_wire.ts";

/** A lease as it was granted. */
export interface Grant {
  /** Its number. */
  readonly id: bigint;
  /** How long it lives without being renewed. @unit milliseconds */
  readonly ttlMs: number;
  /** When it was asked for, by the monotonic clock. @unit milliseconds */
  readonly grantedAt: number;
}

/** What a lease works with. */
export interface EtcdLeaseParts {
  /** Calls. */
  readonly client: EtcdClient;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Called once, with the reason, when the lease is gone or nobody can tell any more whether it is. */
  readonly lost: (reason: string) => void;
}

/** Pauses between attempts to renew, after the first that follow each other at once. @unit milliseconds */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
const SHORTEST_PAUSE_MS = 100;
/** Least and most time for one attempt; in between it is half of what the lease has left. @unit milliseconds */
const SHORTEST_ATTEMPT_MS = 2500;
const LONGEST_ATTEMPT_MS = 5000;

/** Asks once for a lease. @throws {EtcdError} */
export async function grantLease(client: EtcdClient, clock: Clock, ttlSeconds: number): Promise<Grant> {
  const grantedAt = clock.now();
  const answer = await client.attempt(leaseGrant(ttlSeconds));
  const [id, ttl] = [integer(answer.ID), Number(integer(answer.TTL))];
  if (id <= 0n || ttl <= 0) throw new EtcdError("refused", `etcd granted no lease: ${JSON.stringify(answer)}`);
  return { id, ttlMs: 1000 * ttl, grantedAt };
}

/**
 * A lease that is renewed, at half of the time it has left, until it is stopped or lost. etcd counts a lease's time
 * anew when it comes back, so that one outlives a restart of etcd that is shorter than itself.
 *
 * @source dynamo-runtime 1.6.1, `transports/etcd/lease.rs`: when it is renewed, pauses, and what counts as lost
 */
export class EtcdLease {
  /** Its number. */
  readonly id: bigint;
  readonly #parts: EtcdLeaseParts;
  readonly #ttlMs: number;
  readonly #stop = new AbortController();
  #deadline: number;
  #isLost = false;

  constructor({ id, ttlMs, grantedAt }: Grant, parts: EtcdLeaseParts) {
    this.id = id;
    this.#ttlMs = ttlMs;
    this.#deadline = grantedAt + ttlMs;
    this.#parts = parts;
    void this.#keep();
  }

  /** Whether it is lost. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Stops renewing; an attempt that is under way ends with the client, and changes nothing any more. */
  stop(): void {
    this.#stop.abort();
  }

  get #leftMs(): number {
    return this.#deadline - this.#parts.clock.now();
  }

  async #keep(): Promise<void> {
    while (!this.#isLost) {
      await delay(this.#parts.clock, this.#leftMs / 2, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      await this.#renew();
    }
  }

  /** Tries until the lease is renewed, lost or stopped. Also a process that slept past the deadline asks once. */
  async #renew(): Promise<void> {
    const { client, clock, log } = this.#parts;
    let pauseMs = FIRST_PAUSE_MS;
    for (let tries = 1;; tries++) {
      try {
        await this.#ask();
        if (tries > 1 && !this.#isLost) log.info("Lease at etcd renewed after all", { lease: this.id });
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const { message } = error as Error;
        const leftMs = this.#leftMs;
        if (leftMs <= 0) return this.#lose(`it could not be renewed for ${this.#ttlMs / 1000} s: ${message}`);
        if (tries === 1) {
          log.warn("Cannot renew the lease at etcd; trying on", {
            lease: this.id,
            left_ms: Math.round(leftMs),
            message,
          });
        }
        if (tries <= client.members) continue;
        await delay(clock, Math.min(pauseMs, Math.max(leftMs / 2, SHORTEST_PAUSE_MS)), this.#stop.signal);
        if (this.#stop.signal.aborted) return;
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
  }

  async #ask(): Promise<void> {
    const { client, clock } = this.#parts;
    const askedAt = clock.now();
    const timeoutMs = Math.min(Math.max(this.#leftMs / 2, SHORTEST_ATTEMPT_MS), LONGEST_ATTEMPT_MS);
    const answer = await client.attempt(leaseKeepAlive(this.id), timeoutMs);
    const ttlMs = 1000 * Number(integer(answer.TTL));
    if (ttlMs <= 0) return this.#lose("etcd does not know it any more: it expired, was revoked, or etcd lost its data");
    this.#deadline = askedAt + ttlMs;
  }

  #lose(reason: string): void {
    if (this.#stop.signal.aborted) return;
    this.#isLost = true;
    this.#parts.lost(reason);
  }
}
