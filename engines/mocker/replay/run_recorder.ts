/**
 * What the workers of a replay were doing over time.
 *
 * @module
 */
import type { EngineGroup } from "../engine_group.ts";
import type { Pool } from "./request_log.ts";
import { type Columns, TimeGrid, type TimeSeries } from "./time_series.ts";
import type { WorkerObserver } from "./worker_pool.ts";

/** What one worker did, all its ranks together. */
export interface WorkerRecord {
  /** Its pool. */
  readonly pool: Pool;
  /** Its number in the pool. */
  readonly worker: number;
  /** Requests that wait. */
  readonly waiting: Columns;
  /** Requests in the pass that is under way; 0 between passes. */
  readonly batch: Columns;
  /** Share of the blocks in use, as gauges show it. @unit percent */
  readonly kv: Columns;
}

/** What all workers did. */
export interface RunRecord {
  /** When the first thing happened. @unit milliseconds */
  readonly startMs: number;
  /** When the record ends. @unit milliseconds */
  readonly endMs: number;
  /** Width of a column. @unit milliseconds */
  readonly widthMs: number;
  /** By pool and number. */
  readonly workers: readonly WorkerRecord[];
}

interface WorkerSeries {
  readonly pool: Pool;
  readonly worker: number;
  readonly waiting: TimeSeries;
  readonly batch: TimeSeries;
  readonly kv: TimeSeries;
}

const POOLS: readonly Pool[] = ["agg", "prefill", "decode"];

/** Follows the workers of a replay, in memory that depends on their number only. */
export class RunRecorder {
  readonly #grid = new TimeGrid();
  readonly #workers = new Map<EngineGroup, WorkerSeries>();
  #lastMs = 0;

  /** Takes the state of a worker; to be handed to a replay. */
  readonly observe: WorkerObserver = (nowMs, pool, worker, group) => {
    const series = this.#workers.get(group) ?? this.#add(pool, worker, group);
    let [waiting, active, total] = [0, 0, 0];
    for (const { gauges } of group.ranks) {
      waiting += gauges.waiting;
      active += gauges.activeBlocks;
      total += gauges.totalBlocks;
    }
    series.waiting.set(nowMs, waiting);
    series.batch.set(nowMs, group.batch);
    series.kv.set(nowMs, 100 * active / total);
    this.#lastMs = nowMs;
  };

  /** What was seen until a time, or until the last observation if that is later. */
  read(endMs: number): RunRecord {
    const end = Math.max(endMs, this.#lastMs);
    const startMs = this.#grid.startMs ?? end;
    // The width is final once all that time has a place.
    this.#grid.reach(end);
    const workers = [...this.#workers.values()]
      .sort((a, b) => POOLS.indexOf(a.pool) - POOLS.indexOf(b.pool) || a.worker - b.worker)
      .map(({ pool, worker, waiting, batch, kv }) => (
        { pool, worker, waiting: waiting.read(end), batch: batch.read(end), kv: kv.read(end) }
      ));
    return { startMs, endMs: end, widthMs: this.#grid.widthMs, workers };
  }

  #add(pool: Pool, worker: number, group: EngineGroup): WorkerSeries {
    const grid = this.#grid;
    const series = { pool, worker, waiting: grid.add(), batch: grid.add(), kv: grid.add() };
    this.#workers.set(group, series);
    return series;
  }
}
