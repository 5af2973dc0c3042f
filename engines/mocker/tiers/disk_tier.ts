/**
 * Blocks on disks, behind the host tier.
 *
 * @source aisimulate-core 0.13.0, `g3_offload/tier.rs`
 * @module
 */
import type { DiskOffloadArgs } from "../args.ts";
import { DiskStats } from "./disk_stats.ts";
import { bytesPerMs, type Direction, FairTransfers } from "./fair_transfers.ts";

/** What a look into the tier finds: nothing, a block that is still being written, or a block. */
export type DiskFind = "miss" | "pending" | "hit";

/** A copy to or from the disk. */
export interface DiskJob {
  /** Whose it is. */
  readonly client: DiskClient;
  /** Which way. */
  readonly direction: Direction;
  /** Its blocks. */
  readonly keys: readonly bigint[];
  /** When it was asked for. @unit milliseconds */
  readonly sinceMs: number;
}

/** A rank as the tier knows it. Only the tier writes to it. */
export interface DiskClient {
  /** The worker whose link it uses. */
  readonly worker: number;
  /** Copies that are over, which it has not heard of. */
  done: { readonly job: DiskJob; readonly atMs: number }[];
  /** Up to which completion it has heard of. */
  seen: number;
}

interface DiskBlock {
  isPending: boolean;
  /** Copies that read it. */
  pins: number;
  readonly writer: number;
  touched: number;
}

/** The disks of a deployment: one tier for each worker, or one for all. */
export class DiskTier {
  /** What was done with it. */
  readonly stats: DiskStats = new DiskStats();
  readonly #args: DiskOffloadArgs;
  readonly #blockBytes: number;
  readonly #pools = new Map<number, Map<bigint, DiskBlock>>();
  readonly #transfers = new FairTransfers<DiskJob>();
  #touches = 0;
  #completions = 0;

  /** Makes empty disks. */
  constructor(args: DiskOffloadArgs, blockBytes: number) {
    this.#args = args;
    this.#blockBytes = blockBytes;
  }

  /** Adds a rank. */
  join(worker: number): DiskClient {
    return { worker, done: [], seen: this.#completions };
  }

  /** Whether a block is there or being written; nothing is touched by the question. */
  has({ worker }: DiskClient, key: bigint): boolean {
    return this.#poolOf(worker).has(key);
  }

  /** Looks for a block. One that is found is the last to be evicted. */
  find({ worker }: DiskClient, key: bigint): DiskFind {
    const block = this.#poolOf(worker).get(key);
    const found = block === undefined ? "miss" : block.isPending ? "pending" : "hit";
    this.stats.looked(found);
    this.#touches++;
    if (found === "hit") block!.touched = this.#touches;
    return found;
  }

  /** Begins to write those blocks that are not there, as far as there is room; none if that is nothing. */
  write(client: DiskClient, keys: readonly bigint[], nowMs: number): DiskJob | undefined {
    this.#advance(nowMs);
    const pool = this.#poolOf(client.worker);
    const missing = keys.filter((key) => !pool.has(key));
    if (missing.length === 0) return undefined;
    const free = this.#args.num_g3_blocks - pool.size;
    const victims = this.#victims(pool, new Set(keys));
    const fitting = missing.slice(0, free + victims.length);
    if (fitting.length === 0) return undefined;
    for (const key of victims.slice(0, Math.max(0, fitting.length - free))) {
      pool.delete(key);
      this.stats.evictions++;
    }
    for (const key of fitting) pool.set(key, { isPending: true, pins: 0, writer: client.worker, touched: 0 });
    return this.#begin(client, "write", fitting);
  }

  /** Begins to read blocks that are all there. */
  read(client: DiskClient, keys: readonly bigint[], nowMs: number): DiskJob {
    this.#advance(nowMs);
    const pool = this.#poolOf(client.worker);
    for (const key of keys) pool.get(key)!.pins++;
    return this.#begin(client, "read", keys);
  }

  /** Ends what is due; the copies of this client that it has not heard of, and whether any copy is over since the last call. */
  tick(client: DiskClient, nowMs: number): { readonly over: readonly DiskJob[]; readonly progressed: boolean } {
    this.#advance(nowMs);
    const isDue = ({ atMs }: { readonly atMs: number }) => atMs <= nowMs;
    const over = client.done.filter(isDue).map(({ job }) => job);
    client.done = client.done.filter((done) => !isDue(done));
    const progressed = client.seen !== this.#completions;
    client.seen = this.#completions;
    return { over, progressed };
  }

  /** When there is something for a client to do; infinite if there is not. @unit milliseconds */
  nextMs(client: DiskClient): number {
    if (client.seen !== this.#completions) return this.#transfers.nowMs;
    return client.done.reduce((next, { atMs }) => Math.min(next, atMs), this.#transfers.nextMs);
  }

  /** Whether a client has copies under way or something to hear of. */
  hasWork(client: DiskClient): boolean {
    return client.done.length > 0 || this.#transfers.hasJobs(client.worker);
  }

  /** How many blocks are there, and how many are being written. */
  get blocks(): { readonly resident: number; readonly pending: number } {
    let resident = 0;
    let pending = 0;
    for (const pool of this.#pools.values()) {
      for (const { isPending } of pool.values()) isPending ? pending++ : resident++;
    }
    return { resident, pending };
  }

  #poolOf(worker: number): Map<bigint, DiskBlock> {
    const number = this.#args.scope === "worker_local" ? worker : 0;
    const pool = this.#pools.get(number) ?? new Map<bigint, DiskBlock>();
    this.#pools.set(number, pool);
    return pool;
  }

  /** Blocks that may be evicted, those touched longest ago first. */
  #victims(pool: ReadonlyMap<bigint, DiskBlock>, spared: ReadonlySet<bigint>): bigint[] {
    return [...pool].filter(([key, { isPending, pins }]) => !isPending && pins === 0 && !spared.has(key))
      .sort(([keyA, a], [keyB, b]) => a.touched - b.touched || (keyA < keyB ? -1 : 1))
      .map(([key]) => key);
  }

  #begin(client: DiskClient, direction: Direction, keys: readonly bigint[]): DiskJob {
    const { scope, latency_to_first_byte_ms: latencyMs, ...args } = this.#args;
    const { nowMs } = this.#transfers;
    const job = { client, direction, keys, sinceMs: nowMs };
    this.#touches++;
    this.stats[direction].submitted++;
    const isRead = direction === "read";
    const shared = isRead ? args.shared_read_bandwidth_gbps : args.shared_write_bandwidth_gbps;
    this.#transfers.submit({
      subject: job,
      client: client.worker,
      direction,
      readyMs: nowMs + latencyMs,
      bytes: keys.length * this.#blockBytes,
      clientRate: bytesPerMs(isRead ? args.read_bandwidth_gbps : args.write_bandwidth_gbps),
      sharedRate: scope === "worker_local" ? Infinity : bytesPerMs(shared),
    });
    return job;
  }

  #advance(nowMs: number): void {
    for (const { subject, atMs } of this.#transfers.advance(nowMs)) this.#finish(subject, atMs);
  }

  #finish(job: DiskJob, atMs: number): void {
    const { client, direction, keys, sinceMs } = job;
    const pool = this.#poolOf(client.worker);
    this.#completions++;
    this.#touches++;
    for (const key of keys) {
      const block = pool.get(key)!;
      if (direction === "write") block.isPending = false;
      else block.pins--;
      if (direction === "read" && block.writer !== client.worker) this.stats.crossWorkerReads++;
      block.touched = this.#touches;
    }
    this.stats[direction].completed(keys.length * this.#blockBytes, atMs - sinceMs);
    client.done.push({ job, atMs });
  }
}
