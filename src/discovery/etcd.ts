/**
 * Discovery on etcd, shared with Dynamo's own processes: records are keys that hang on the lease of their worker.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Clock, HttpClients } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { Discovery, DiscoveryEvent } from "./discovery.ts";
import { EtcdClient } from "./etcd_client.ts";
import { connectEtcd } from "./etcd_connect.ts";
import { EtcdError } from "./etcd_error.ts";
import { EtcdLease, type Grant, grantLease } from "./etcd_lease.ts";
import type { EtcdServers } from "./etcd_servers.ts";
import { type EtcdProbe, openEtcdWatch } from "./etcd_watch.ts";
import {
  deleteKey,
  entries,
  type EtcdCall,
  leaseRevoke,
  obstacle,
  putIfUnchanged,
  rangeOf,
  status,
} from "./etcd_wire.ts";

/** Settings of {@linkcode openEtcdDiscovery}. */
export interface EtcdDiscoveryOptions {
  /** Where etcd is. */
  readonly servers: EtcdServers;
  /** Time and connections. */
  readonly platform: { readonly clock: Clock; readonly httpClients?: HttpClients };
  /** Log. */
  readonly log: Log;
  /** How long records live without being renewed. @unit seconds */
  readonly ttlSeconds: number;
  /** How long the first connection may take. @unit milliseconds */
  readonly patienceMs: number;
  /** Questions to the member behind a watch. */
  readonly probe: EtcdProbe;
  /** Ends the attempts to connect. */
  readonly signal?: AbortSignal;
  /** Takes no lease; nothing can be put then. @default false */
  readonly isReader?: boolean;
  /** Called once when the lease is lost: all records are gone then, or will be soon, and none can be put any more. */
  readonly lost?: (error: DynamoError) => void;
}

/** Time a lease gets to be revoked; after that its records go when its time has run out. @unit milliseconds */
const REVOKE_PATIENCE_MS = 2000;
/** How often a write starts over because somebody else changed the key. */
const ATTEMPTS = 5;

/**
 * Connects, takes a lease and keeps it.
 *
 * @throws {DynamoError} `CannotConnect` if etcd is not there in time or refuses; `InvalidArgument` if the TLS settings
 * cannot be used.
 * @source dynamo-runtime 1.6.1, `storage/kv/etcd.rs`: keys as they are, one lease for all, transactions
 */
export async function openEtcdDiscovery(options: EtcdDiscoveryOptions): Promise<Discovery> {
  const { servers, log, ttlSeconds, isReader = false, platform: { clock } } = options;
  using undo = new DisposableStack();
  const client = undo.use(new EtcdClient({ servers, http: openHttp(options), clock, log }));
  const first = isReader
    ? () => client.attempt(status()).then(() => null)
    : () => grantLease(client, clock, ttlSeconds);
  const grant = await connectEtcd(client, first, options);
  undo.move();
  return new EtcdDiscovery(client, grant, options);
}

function openHttp({ platform: { httpClients }, servers: { tls } }: EtcdDiscoveryOptions) {
  if (httpClients === undefined) throw new DynamoError("CannotConnect", "this platform cannot call etcd");
  try {
    return httpClients.open(tls);
  } catch (cause) {
    const { message } = cause as Error;
    throw new DynamoError("InvalidArgument", `ETCD_AUTH_CA and the like cannot be used: ${message}`, { cause });
  }
}

class EtcdDiscovery implements Discovery {
  readonly name = "etcd";
  readonly instanceId: bigint;
  readonly #client: EtcdClient;
  readonly #options: EtcdDiscoveryOptions;
  readonly #lease: EtcdLease | null;
  readonly #watches = new Set<AsyncDisposable>();
  #tail: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(client: EtcdClient, grant: Grant | null, options: EtcdDiscoveryOptions) {
    const { log, platform: { clock } } = options;
    this.#client = client;
    this.#options = options;
    this.instanceId = grant?.id ?? 0n;
    const lost = (reason: string) => this.#lost(reason);
    this.#lease = grant === null ? null : new EtcdLease(grant, { client, clock, log, lost });
    if (grant !== null) log.info("Lease granted by etcd", { lease: grant.id, seconds: grant.ttlMs / 1000 });
  }

  put(key: DiscoveryKey, value: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#assertOpen();
      if (this.#lease === null) throw new Error("Cannot publish record: discovery was opened to read");
      if (this.#lease.isLost) throw new Error("Cannot publish record: the lease at etcd is lost");
      await this.#write(key, value, this.#lease.id).catch((cause) => this.#explain("publish", key, cause));
    });
  }

  async #write(key: DiscoveryKey, value: string, lease: bigint): Promise<void> {
    let revision = 0n;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const answer = await this.#client.call(putIfUnchanged(key, value, lease, revision));
      if (answer.succeeded === true) return;
      const other = obstacle(key.bucket, answer);
      if (other?.lease === lease && other.value === value) return;
      if (other !== null && other.lease !== lease) {
        this.#options.log.warn("Discovery record replaced: another one stood under its key", { key: nameOf(key) });
      }
      revision = other?.revision ?? 0n;
    }
    throw new Error("somebody else keeps changing it");
  }

  delete(key: DiscoveryKey): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed !== null) return;
      const call = deleteKey(key);
      if (this.#lease?.isLost) return await this.#bestEffort(call);
      await this.#client.call(call).catch((cause) => this.#explain("delete", key, cause));
    });
  }

  async list(bucket: DiscoveryBucket): Promise<readonly { readonly key: DiscoveryKey; readonly value: string }[]> {
    this.#assertOpen();
    const range = await this.#client.call(rangeOf(bucket));
    return entries(bucket, range).map(({ key, value }) => ({ key, value }));
  }

  async watch(bucket: DiscoveryBucket, report: (event: DiscoveryEvent) => void): Promise<AsyncDisposable> {
    this.#assertOpen();
    const { log, probe, platform: { clock } } = this.#options;
    const watch = await openEtcdWatch(bucket, report, { client: this.#client, clock, log, probe });
    this.#watches.add(watch);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#watches.delete(watch);
        await watch[Symbol.asyncDispose]();
      },
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#watches].map((watch) => watch[Symbol.asyncDispose]()));
    await this.#tail;
    this.#lease?.stop();
    await this.#revoke();
    this.#client[Symbol.dispose]();
  }

  /** One step for all records that are left. */
  async #revoke(): Promise<void> {
    const lease = this.#lease;
    if (lease === null) return;
    if (lease.isLost) return await this.#bestEffort(leaseRevoke(lease.id));
    try {
      await this.#client.call(leaseRevoke(lease.id), REVOKE_PATIENCE_MS);
    } catch (error) {
      if (error instanceof EtcdError && error.fault === "missing") return;
      this.#options.log.warn("Cannot revoke the lease at etcd: its records stay until its time has run out", {
        lease: lease.id,
        error: (error as Error).message,
      });
    }
  }

  /** With the lease everything is gone, or will be; asked once, etcd may do it sooner, if it is there. */
  async #bestEffort(call: EtcdCall): Promise<void> {
    await this.#client.call(call, 0).catch(() => {});
  }

  #lost(reason: string): void {
    const message = `Lost the lease ${this.instanceId} at etcd, and the worker's place in discovery with it: ${reason}`;
    this.#options.lost?.(new DynamoError("Disconnected", message));
  }

  #explain(what: string, key: DiscoveryKey, cause: Error): never {
    throw new Error(`Cannot ${what} ${nameOf(key)} in etcd: ${cause.message}`, { cause });
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(run);
    this.#tail = result.catch(() => {});
    return result;
  }

  #assertOpen(): void {
    if (this.#closed !== null) throw new Error("Cannot use discovery: it is closed");
  }
}

function nameOf({ bucket, path }: DiscoveryKey): string {
  return `${bucket}/${path}`;
}
