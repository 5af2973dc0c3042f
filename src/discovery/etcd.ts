/**
 * Discovery on etcd, shared with Dynamo's own processes: records are keys that hang on the lease of their worker.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Clock, HttpClients, Random } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { Discovery, DiscoveryEvent } from "./discovery.ts";
import { EtcdClient } from "./etcd_client.ts";
import { connectEtcd } from "./etcd_connect.ts";
import { EtcdError } from "./etcd_error.ts";
import { type Grant, grantLease } from "./etcd_grant.ts";
import { EtcdLease } from "./etcd_lease.ts";
import { EtcdRecords } from "./etcd_records.ts";
import type { EtcdServers } from "./etcd_servers.ts";
import { Trouble } from "./etcd_trouble.ts";
import { type EtcdProbe, openEtcdWatch } from "./etcd_watch.ts";
import { entries, leaseRevoke, nameOf, rangeOf, status } from "./etcd_wire.ts";

/** Settings of {@linkcode openEtcdDiscovery}. */
export interface EtcdDiscoveryOptions {
  /** Where etcd is. */
  readonly servers: EtcdServers;
  /** Time, connections, and what keeps the workers of a fleet apart. */
  readonly platform: {
    readonly clock: Clock;
    readonly httpClients?: HttpClients;
    readonly random: Pick<Random, "number">;
  };
  /** Log. */
  readonly log: Log;
  /** How long records live without being renewed. @unit seconds */
  readonly ttlSeconds: number;
  /** How long the first connection may take. @unit milliseconds */
  readonly patienceMs: number;
  /** Questions to the member behind a watch. */
  readonly probe: EtcdProbe;
  /** Ends the attempts to connect; once it has aborted, records that are gone stay away. */
  readonly signal?: AbortSignal;
  /** Takes no lease; nothing can be put then. @default false */
  readonly isReader?: boolean;
  /** Called once when the lease is lost for good: all records are gone then, and none can be put any more. */
  readonly lost?: (error: DynamoError) => void;
}

/** Time a lease gets to be revoked; after that its records go when its time has run out. @unit milliseconds */
const REVOKE_PATIENCE_MS = 2000;

/**
 * Connects, takes a lease and keeps it. What hangs on it is looked after at each renewal: records that are gone, with
 * the lease or without it, are published again. A stock worker shuts down in the first case, and stays away in the
 * second.
 *
 * @throws {DynamoError} `CannotConnect` if etcd is not there in time or refuses; `InvalidArgument` if the TLS settings
 * cannot be used.
 * @source dynamo-runtime 1.6.1, `storage/kv/etcd.rs`: keys as they are, one lease for all, transactions
 */
export async function openEtcdDiscovery(options: EtcdDiscoveryOptions): Promise<Discovery> {
  const { servers, log, ttlSeconds, isReader = false, platform: { clock, random } } = options;
  using undo = new DisposableStack();
  const client = undo.use(new EtcdClient({ servers, http: openHttp(options), clock, random, log }));
  const first = isReader
    ? () => client.attempt(status()).then(() => null)
    : () => grantLease(client, clock, { ttlSeconds });
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
  readonly #records: EtcdRecords;
  readonly #trouble: Trouble;
  readonly #watches = new Set<AsyncDisposable>();
  /** Whether the lease was away, and not all records are back yet. */
  #isReturning = false;
  #isDue = false;
  #tending: Promise<void> | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(client: EtcdClient, grant: Grant | null, options: EtcdDiscoveryOptions) {
    const { log, ttlSeconds, platform: { clock, random } } = options;
    const records = new EtcdRecords(client, log);
    this.#client = client;
    this.#options = options;
    this.#records = records;
    this.#trouble = new Trouble(clock, log);
    this.instanceId = grant?.id ?? 0n;
    this.#lease = grant === null ? null : new EtcdLease(grant, {
      ...{ client, clock, random, log, ttlSeconds },
      owns: (name) => records.owns(name),
      renewed: (isReturn) => this.#renewed(isReturn),
      lost: (reason) => this.#lost(reason),
    });
    if (grant !== null) log.info("Lease granted by etcd", { lease: grant.id, seconds: grant.ttlMs / 1000 });
  }

  put(key: DiscoveryKey, value: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#assertOpen();
      const lease = this.#lease;
      if (lease === null) throw new Error("Cannot publish record: discovery was opened to read");
      if (lease.isLost) throw new Error("Cannot publish record: the lease at etcd is lost");
      if (lease.isAway) throw new Error("Cannot publish record: the lease at etcd is lost and not back yet; try again");
      await this.#records.put(key, value, lease.id).catch((cause) => this.#explain("publish", key, cause));
    });
  }

  delete(key: DiscoveryKey): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed !== null) return;
      // It is gone with the lease, or will be.
      if (this.#lease?.isAway) return await this.#records.forget(key);
      await this.#records.delete(key).catch((cause) => this.#explain("delete", key, cause));
    });
  }

  async list(bucket: DiscoveryBucket): Promise<readonly { readonly key: DiscoveryKey; readonly value: string }[]> {
    this.#assertOpen();
    const range = await this.#client.call(rangeOf(bucket));
    return entries(bucket, range).map(({ key, value }) => ({ key, value }));
  }

  async watch(bucket: DiscoveryBucket, report: (event: DiscoveryEvent) => void): Promise<AsyncDisposable> {
    this.#assertOpen();
    const { log, probe, platform: { clock, random } } = this.#options;
    const watch = await openEtcdWatch(bucket, report, { client: this.#client, clock, random, log, probe });
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
    // Asked once, it may go sooner.
    if (lease.isAway) return void await this.#client.call(leaseRevoke(lease.id), 0).catch(() => {});
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

  /** One run at a time; a renewal that comes meanwhile asks for another. */
  #renewed(isReturn: boolean): Promise<void> {
    this.#isReturning ||= isReturn;
    this.#isDue = true;
    return this.#tending ??= this.#tendWhileDue().finally(() => this.#tending = null);
  }

  async #tendWhileDue(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false;
      await this.#tend().catch((error: Error) => {
        if (this.#closed === null) {
          this.#trouble.tell("Cannot look after the records at etcd; trying on", { error: error.message });
        }
        throw error;
      });
      this.#trouble.over();
    }
  }

  get #isFindable(): boolean {
    return this.#closed === null && this.#lease?.isAway === false;
  }

  /** Compares the records with what they should be. Each is put right in its turn, so that nothing else waits for all. */
  async #tend(): Promise<void> {
    const { log } = this.#options;
    const wasAway = this.#isReturning;
    for (const repair of await this.#records.inspect(this.instanceId)) {
      await this.#inTurn(async () => {
        if (!this.#isFindable || (repair.isPut && this.#options.signal?.aborted)) return;
        const name = await repair.run();
        if (name === null || wasAway) return;
        log.warn("Discovery record published again", { key: name, reason: "somebody deleted it" });
      });
    }
    if (!wasAway || !this.#isFindable) return;
    this.#isReturning = false;
    if (!this.#options.signal?.aborted) {
      log.info("Back in discovery at etcd", { lease: this.instanceId, records: this.#records.size });
    }
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
