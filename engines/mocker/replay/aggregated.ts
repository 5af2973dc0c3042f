/**
 * Replay on workers that compute prompts and answers alike.
 *
 * @source aisimulate-core 0.13.0, `replay/agg.rs`: what comes first at one time
 * @module
 */
import type { RankPass } from "../engine_group.ts";
import { COMPLETED, REJECTED, TOKEN } from "../pass.ts";
import type { PlacementPolicy } from "./placement.ts";
import type { Deployment, ReplayRun, RunParts } from "./replay_run.ts";
import type { TraceRow } from "./trace.ts";
import { WorkerPool } from "./worker_pool.ts";

/** One pool behind one router. */
export class AggregatedReplay implements ReplayRun {
  readonly #parts: RunParts;
  readonly #pool: WorkerPool;
  readonly #router: PlacementPolicy;
  readonly #hasFirstToken: Uint8Array;

  /** Prepares a run. */
  constructor(parts: RunParts, { workers, router }: Deployment) {
    const { clock, log } = parts;
    this.#parts = parts;
    this.#router = router;
    this.#hasFirstToken = new Uint8Array(parts.rows.length);
    this.#pool = new WorkerPool("agg", workers, {
      log,
      schedule: (atMs, pool, worker) => clock.addPassEnd(atMs, pool, worker),
      onPassEnd: (_pool, worker, passes, nowMs) => this.#onPassEnd(worker, passes, nowMs),
      onCopies: (_pool, worker, rank) => void this.#publish(worker, rank),
      onPass: parts.onPass,
      onWorker: parts.onWorker,
    });
  }

  arrive(row: TraceRow, nowMs: number): void {
    this.#parts.log.onArrival(row, nowMs);
    const sequence = this.#parts.sequenceOf(row);
    const request = { id: row.index, sequence, promptTokens: row.inputTokens, outputTokens: row.outputTokens };
    const { worker, rank, overlapTokens } = this.#router.place(request, nowMs);
    this.#parts.log.onRouting(row.index, "agg", worker, rank, overlapTokens);
    this.#pool.workers[worker]!.ranks[rank]!.submit({
      id: row.index,
      sequence,
      units: this.#parts.unitsOf?.(row),
      promptTokens: row.inputTokens,
      maxOutputTokens: row.outputTokens,
    });
    this.#pool.mark(worker);
  }

  get nextCopyMs(): number {
    return this.#pool.nextMs;
  }

  settleEvents(nowMs: number): boolean {
    let changed = this.#pool.endCopies(nowMs);
    for (let due = this.#parts.clock.takePassEnd(); due !== undefined; due = this.#parts.clock.takePassEnd()) {
      due.pool.end(due.worker, nowMs);
      changed = true;
    }
    return this.#pool.endCopies(nowMs) || changed;
  }

  drive(nowMs: number): boolean {
    return this.#pool.drive(nowMs);
  }

  #onPassEnd(worker: number, passes: readonly RankPass[], nowMs: number): boolean {
    const { log } = this.#parts;
    let changed = false;
    for (const { rank, pass } of passes) {
      if (this.#publish(worker, rank)) changed = true;
      const { requests, flags } = pass;
      for (let i = 0; i < requests.length; i++) {
        const { id } = requests[i]!;
        const flag = flags[i]!;
        if ((flag & TOKEN) !== 0) log.onToken(id, nowMs);
        if ((flag & COMPLETED) !== 0) {
          log.onEnd(id, nowMs, (flag & REJECTED) !== 0 ? "rejected" : "completed");
          this.#router.onEnd(id);
          this.#parts.onEnd(id, nowMs);
        } else if (this.#hasFirstToken[id] === 0) {
          this.#hasFirstToken[id] = 1;
          this.#router.onPrefillDone(id);
        }
      }
    }
    return changed;
  }

  #publish(worker: number, rank: number): boolean {
    const events = this.#pool.workers[worker]!.ranks[rank]!.takeKvEvents();
    if (events.length > 0) this.#router.onKvEvents(worker, rank, events);
    return events.length > 0;
  }
}
