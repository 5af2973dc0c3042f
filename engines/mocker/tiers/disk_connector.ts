/**
 * Between the host tier of a rank and the disk tier: what is written through, what is brought back.
 *
 * @source aisimulate-core 0.13.0, `scheduler/vllm/g3_offload.rs`
 * @module
 */
import type { EngineRequest } from "../engine_request.ts";
import type { DiskClient, DiskJob, DiskTier } from "./disk_tier.ts";
import type { HostKey, HostTier } from "./host_tier.ts";
import type { HostBlock, HostClient, HostTransfer } from "./host_transfer.ts";

/** Rounds in which a request may bring blocks back while its rank gets nothing done; then it computes what is missing. */
const MAX_ROUNDS = 1024;

/** What a request has brought back since its rank got anything done. */
interface Restores {
  rounds: number;
  progress: number;
}

/** Blocks of the host that a read fills. */
interface Stage {
  owner: EngineRequest | undefined;
  readonly promotions: readonly HostTransfer[];
}

/** The disk tier as one rank uses it. */
export class DiskConnector {
  readonly #disk: DiskTier;
  readonly #client: DiskClient;
  readonly #host: HostTier;
  readonly #hostClient: HostClient;
  readonly #stages = new Map<DiskJob, Stage>();
  readonly #writes = new Map<DiskJob, readonly HostBlock[]>();
  readonly #restores = new WeakMap<EngineRequest, Restores>();
  readonly #attempted = new Map<EngineRequest, Set<bigint>>();
  #attemptedMs = 0;
  #progress = 0;
  #changes = 0;

  /** Connects a rank of a worker. */
  constructor(disk: DiskTier, worker: number, host: HostTier, hostClient: HostClient) {
    this.#disk = disk;
    this.#client = disk.join(worker);
    this.#host = host;
    this.#hostClient = hostClient;
  }

  /** How often anything has changed. */
  get changes(): number {
    return this.#changes;
  }

  /** When something happens; infinite if nothing will. @unit milliseconds */
  get nextMs(): number {
    return this.#disk.nextMs(this.#client);
  }

  /** Whether copies are under way. */
  get hasWork(): boolean {
    return this.#disk.hasWork(this.#client);
  }

  /** The rank got something done. */
  progressed(): void {
    this.#progress++;
  }

  /** A request was scheduled or lost its blocks: it may bring back as much as ever. */
  reset(request: EngineRequest): void {
    this.#restores.delete(request);
  }

  /** Writes blocks that have come to the host; they stay there until they are on the disk, or need not be. */
  store(blocks: readonly HostBlock[], nowMs: number): void {
    const job = this.#disk.write(this.#client, blocks.map(({ key }) => key), nowMs);
    const accepted = new Set(job?.keys);
    this.#host.unpin(blocks.filter(({ key }) => !accepted.has(key)));
    if (job === undefined) return;
    this.#writes.set(job, blocks.filter(({ key }) => accepted.has(key)));
    this.#changes++;
  }

  /** Brings blocks back that a request needs; whether it has to wait for any. */
  restore(request: EngineRequest, keys: readonly HostKey[], nowMs: number): boolean {
    const restores = this.#restores.get(request) ?? { rounds: 0, progress: 0 };
    this.#restores.set(request, restores);
    if (restores.rounds >= MAX_ROUNDS) return false;
    if (nowMs > this.#attemptedMs) {
      this.#attemptedMs = nowMs;
      this.#attempted.clear();
    }
    const promotions: HostTransfer[] = [];
    const waits = this.#reserve(request, keys, nowMs, promotions);
    if (promotions.length === 0) return waits;
    const missing = promotions.map(({ blocks }) => blocks[0]!.key);
    const job = this.#disk.read(this.#client, missing, nowMs);
    this.#countRound(restores);
    const attempted = this.#attempted.get(request) ?? new Set<bigint>();
    for (const key of missing) attempted.add(key);
    this.#attempted.set(request, attempted);
    this.#stages.set(job, { owner: request, promotions });
    this.#changes++;
    return true;
  }

  /** Reserves host blocks for those that are on the disk, up to the first that is nowhere; whether others are on their way. */
  #reserve(request: EngineRequest, keys: readonly HostKey[], nowMs: number, promotions: HostTransfer[]): boolean {
    let waits = false;
    for (const wanted of keys) {
      const onHost = this.#host.find(wanted.key);
      if (onHost === "pending") waits = true;
      if (onHost !== "miss") continue;
      const onDisk = this.#disk.find(this.#client, wanted.key);
      if (onDisk === "miss") break;
      if (onDisk === "pending") {
        waits = true;
        continue;
      }
      // What was brought back at this very time and is gone again would be brought back for ever.
      if (this.#attempted.get(request)?.has(wanted.key) === true && !this.#fits(keys)) break;
      const promotion = this.#host.reserve(this.#hostClient, "promotion", request, [wanted], nowMs);
      if (promotion === undefined) break;
      promotions.push(promotion);
    }
    return waits;
  }

  /** Whether all that is somewhere of a prompt fits the host at once. */
  #fits(keys: readonly HostKey[]): boolean {
    const end = keys.findIndex(({ key }) => this.#host.find(key) === "miss" && !this.#disk.has(this.#client, key));
    return this.#host.canReserve(end < 0 ? keys : keys.slice(0, end));
  }

  #countRound(restores: Restores): void {
    if (restores.progress !== this.#progress) restores.rounds = 0;
    restores.progress = this.#progress;
    if (++restores.rounds === MAX_ROUNDS) this.#disk.stats.bypassedRestores++;
  }

  /** Ends what is due; whether anything was. */
  advance(nowMs: number): boolean {
    const { over, progressed } = this.#disk.tick(this.#client, nowMs);
    for (const job of over) {
      if (job.direction === "write") this.#host.unpin(this.#writes.get(job)!);
      else for (const promotion of this.#stages.get(job)!.promotions) this.#host.completePromotion(promotion);
      this.#writes.delete(job);
      this.#stages.delete(job);
      this.#changes++;
    }
    return progressed;
  }

  /** Forgets who asked; what is on its way comes nevertheless. */
  release(request: EngineRequest): void {
    let isKnown = false;
    for (const stage of this.#stages.values()) {
      if (stage.owner !== request) continue;
      stage.owner = undefined;
      isKnown = true;
    }
    if (isKnown) this.#changes++;
  }
}
