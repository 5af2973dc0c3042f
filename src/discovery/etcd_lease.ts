/**
 * The lease that all records of a worker hang on, and whose number is the worker's instance id.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay, type Random } from "../platform/platform.ts";
import type { EtcdClient } from "./etcd_client.ts";
import { EtcdError } from "./etcd_error.ts";
import { type Grant, grantLease } from "./etcd_grant.ts";
import { Pauses } from "./etcd_pauses.ts";
import { Refusal } from "./etcd_refusal.ts";
import { Trouble } from "./etcd_trouble.ts";
import { integer, leasedNames, leaseKeepAlive, leaseKeys, revisionOf } from "./etcd_wire.ts";

/** What a lease works with. */
export interface EtcdLeaseParts {
  /** Calls. */
  readonly client: EtcdClient;
  /** Time. */
  readonly clock: Clock;
  /** Keeps the workers of a fleet apart. */
  readonly random: Pick<Random, "number">;
  /** Log. */
  readonly log: Log;
  /** How long it should live when it is granted again. @unit seconds */
  readonly ttlSeconds: number;
  /** Whether a key is one of those that hang on it. */
  readonly owns: (name: string) => boolean;
  /**
   * Called whenever it was renewed, to look after what hangs on it.
   *
   * @param isReturn Whether it was away.
   */
  readonly renewed: (isReturn: boolean) => Promise<void>;
  /** Called once, with the reason, when it cannot be had any more. */
  readonly lost: (reason: string) => void;
}

/** Pauses between attempts to renew, after the first that follow each other at once. @unit milliseconds */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
const SHORTEST_PAUSE_MS = 100;
/** Least and most time for one attempt; in between it is half of what the lease has left. @unit milliseconds */
const SHORTEST_ATTEMPT_MS = 2500;
const LONGEST_ATTEMPT_MS = 5000;

/**
 * A lease that is renewed, at half of the time it has left, until it is stopped or lost. etcd counts a lease's time
 * anew when it comes back, so that one outlives a restart of etcd that is shorter than itself.
 *
 * One that ran out or was revoked is granted again under its old number, however long that takes. It is lost only if
 * somebody else has the number, or if etcd has refused for as long as the lease would have lived.
 *
 * @source dynamo-runtime 1.6.1, `transports/etcd/lease.rs`: when it is renewed, and pauses; there it is never granted again
 */
export class EtcdLease {
  /** Its number. */
  readonly id: bigint;
  readonly #parts: EtcdLeaseParts;
  readonly #stop = new AbortController();
  readonly #trouble: Trouble;
  /** Refusals of the lease, and of what hangs on it. */
  readonly #refusal: Refusal;
  readonly #recordsRefusal: Refusal;
  #ttlMs: number;
  #heldAt: number;
  #revision: bigint;
  #isAway = false;
  /** Whether etcd has said that it is not there. */
  #isGone = false;
  #isLost = false;

  constructor(grant: Grant, parts: EtcdLeaseParts) {
    const { clock, log } = parts;
    this.id = grant.id;
    this.#parts = parts;
    this.#ttlMs = grant.ttlMs;
    this.#heldAt = grant.grantedAt;
    this.#revision = grant.revision;
    this.#trouble = new Trouble(clock, log);
    this.#refusal = new Refusal(clock, grant.ttlMs);
    this.#recordsRefusal = new Refusal(clock, grant.ttlMs);
    void this.#keep();
  }

  /** Whether its records are gone, or will be soon if they are not put back. */
  get isAway(): boolean {
    return this.#isAway || this.#isLost;
  }

  /** Whether it will not come back. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Stops renewing; an attempt that is under way ends with the client, and changes nothing any more. */
  stop(): void {
    this.#stop.abort();
  }

  get #leftMs(): number {
    return this.#heldAt + this.#ttlMs - this.#parts.clock.now();
  }

  async #keep(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await delay(this.#parts.clock, this.#leftMs / 2, this.#stop.signal);
      if (!this.#stop.signal.aborted) await this.#renew();
    }
  }

  /** Tries until it is renewed, lost or stopped. */
  async #renew(): Promise<void> {
    const { client, clock, random } = this.#parts;
    const { signal } = this.#stop;
    const pauses = new Pauses(random, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    // A process that slept past the end asks before it believes anything.
    const sleptMs = this.#leftMs > 0 ? 0 : clock.now() - this.#heldAt;
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        return await this.#attempt(sleptMs);
      } catch (error) {
        if (signal.aborted) return;
        const { message } = error as Error;
        if (this.#refusal.isFinal(error)) return this.#lose(`etcd keeps refusing it: ${message}`);
        this.#complain(sleptMs, message);
        if (tries > client.members) await delay(clock, this.#pauseMs(pauses), signal);
      }
    }
  }

  async #attempt(sleptMs: number): Promise<void> {
    if (!this.#isGone) {
      const leftMs = this.#leftMs;
      const revision = await this.#extend();
      if (revision === null) return;
      this.#isGone = true;
      this.#leave(this.#whyGone(revision, leftMs, sleptMs));
    }
    await this.#grantAgain();
  }

  /** Renews it. Returns the store's revision if it is not there. */
  async #extend(): Promise<bigint | null> {
    const { client, clock } = this.#parts;
    const askedAt = clock.now();
    const answer = await client.attempt(leaseKeepAlive(this.id), this.#attemptMs);
    const ttlMs = 1000 * Number(integer(answer.TTL));
    const revision = revisionOf(answer);
    if (ttlMs <= 0) return revision;
    this.#hold(askedAt, ttlMs, revision);
    return null;
  }

  async #grantAgain(): Promise<void> {
    const { client, clock, ttlSeconds } = this.#parts;
    try {
      const { grantedAt, ttlMs, revision } = await grantLease(client, clock, { ttlSeconds, id: this.id });
      this.#hold(grantedAt, ttlMs, revision);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.fault !== "taken") throw error;
      await this.#recognise();
    }
  }

  /** There is a lease of its number: either the answer to an earlier attempt was lost, or it is somebody else's. */
  async #recognise(): Promise<void> {
    const { client, owns } = this.#parts;
    const names = leasedNames(await client.attempt(leaseKeys(this.id)));
    const other = names.find((name) => !owns(name));
    if (other !== undefined) return this.#lose(`somebody else's lease has its number now, with ${other}`);
    if (await this.#extend() !== null) throw new EtcdError("busy", "the lease comes and goes");
  }

  #hold(heldAt: number, ttlMs: number, revision: bigint): void {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    const isReturn = this.#isAway;
    [this.#heldAt, this.#ttlMs, this.#revision] = [heldAt, ttlMs, revision];
    [this.#isAway, this.#isGone] = [false, false];
    this.#refusal.over();
    const wasTold = this.#trouble.over();
    if (wasTold && !isReturn) this.#parts.log.info("Lease at etcd renewed after all", { lease: this.id });
    // Not waited for: the next renewal must not be late because of slow records.
    this.#parts.renewed(isReturn).then(() => this.#recordsRefusal.over(), (error: Error) => {
      if (this.#recordsRefusal.isFinal(error)) this.#lose(`etcd keeps refusing its records: ${error.message}`);
    });
  }

  #complain(sleptMs: number, message: string): void {
    const leftMs = this.#leftMs;
    const fields = { lease: this.id, message };
    if (this.#isAway) return this.#trouble.tell("Cannot take the lease at etcd again; trying on", fields);
    if (leftMs <= 0) return this.#leave(`${this.#whyOut(sleptMs)}: ${message}`);
    this.#trouble.tell("Cannot renew the lease at etcd; trying on", { ...fields, left_ms: Math.round(leftMs) });
  }

  #whyGone(revision: bigint, leftMs: number, sleptMs: number): string {
    if (revision < this.#revision) return `etcd lost its data: it is at revision ${revision}, after ${this.#revision}`;
    return leftMs > 0 ? "somebody revoked it" : this.#whyOut(sleptMs);
  }

  #whyOut(sleptMs: number): string {
    const ttl = `${this.#ttlMs / 1000} s`;
    if (sleptMs === 0) return `it could not be renewed for ${ttl}`;
    return `this process was paused for ${(sleptMs / 1000).toFixed(1)} s, longer than the ${ttl} that it lives`;
  }

  #leave(reason: string): void {
    if (this.#isAway || this.#stop.signal.aborted) return;
    this.#isAway = true;
    this.#parts.log.warn("Lost the lease at etcd, taking it again; only frontends that know this worker reach it", {
      lease: this.id,
      reason,
    });
  }

  #lose(reason: string): void {
    if (this.#stop.signal.aborted) return;
    this.#isLost = true;
    this.#stop.abort();
    this.#parts.lost(reason);
  }

  get #attemptMs(): number {
    const leftMs = this.#leftMs;
    if (leftMs <= 0) return LONGEST_ATTEMPT_MS;
    return Math.min(Math.max(leftMs / 2, SHORTEST_ATTEMPT_MS), LONGEST_ATTEMPT_MS);
  }

  /** Shorter towards the end, where every attempt may be the last in time. */
  #pauseMs(pauses: Pauses): number {
    const [pauseMs, leftMs] = [pauses.next(), this.#leftMs];
    return leftMs <= 0 ? pauseMs : Math.min(pauseMs, Math.max(leftMs / 2, SHORTEST_PAUSE_MS));
  }
}
