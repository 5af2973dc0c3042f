/**
 * Figures of the disk tier, under the names of the peer's report.
 *
 * @source aisimulate-core 0.13.0, `g3_offload/tier.rs`, `G3Stats`
 * @module
 */
import type { Figure } from "./tier_pools.ts";

/** Copies in one direction. */
class DirectionStats {
  /** Copies that began. */
  submitted = 0;
  #completed = 0;
  #bytes = 0;
  #ms = 0;

  /** Counts a copy that is over. */
  completed(bytes: number, milliseconds: number): void {
    this.#completed++;
    this.#bytes += bytes;
    this.#ms += milliseconds;
  }

  /** The figures; nothing here gives a copy up. */
  get figures(): Readonly<Record<string, number>> {
    return {
      submitted_jobs: this.submitted,
      completed_jobs: this.#completed,
      cancelled_jobs: 0,
      completed_bytes: this.#bytes,
      transfer_ms: this.#ms,
    };
  }
}

/** What was looked for, copied and evicted. */
export class DiskStats {
  /** Copies from the disk. */
  readonly read = new DirectionStats();
  /** Copies to the disk. */
  readonly write = new DirectionStats();
  /** Blocks that gave way to others. */
  evictions = 0;
  /** Blocks that another worker had written. */
  crossWorkerReads = 0;
  /** How often a request stopped to wait for blocks that are evicted again before it can use them. */
  bypassedRestores = 0;
  #probes = 0;
  #hits = 0;
  #pending = 0;

  /** Counts a look. */
  looked(found: "miss" | "pending" | "hit"): void {
    this.#probes++;
    if (found === "hit") this.#hits++;
    if (found === "pending") this.#pending++;
  }

  /** The figures, with those of the blocks that are there. */
  report({ resident, pending }: { readonly resident: number; readonly pending: number }): Figure {
    return {
      lookup_probes: this.#probes,
      lookup_hits: this.#hits,
      lookup_pending: this.#pending,
      read: this.read.figures,
      write: this.write.figures,
      evictions: this.evictions,
      cross_worker_read_blocks: this.crossWorkerReads,
      resident_blocks: resident,
      pending_blocks: pending,
      ...(this.bypassedRestores === 0 ? {} : { bypassed_restores: this.bypassedRestores }),
    };
  }
}
