/**
 * Makes the ranks of a worker.
 *
 * @module
 */
import type { EngineArgs } from "./args.ts";
import { EngineGroup } from "./engine_group.ts";
import { SglangScheduler } from "./sglang_scheduler.ts";
import { draftSampler } from "./speculation.ts";
import { timingModel } from "./timing.ts";
import type { TimingTableArrays } from "./timing_table.ts";
import { TierPools } from "./tiers/tier_pools.ts";
import { VllmScheduler } from "./vllm_scheduler.ts";

/** What the ranks of a deployment have together. */
export interface GroupParts {
  /** GPUs of a rank. @default 1 */
  readonly tensorParallelSize?: number | undefined;
  /** What `timing_model.config.path` names. */
  readonly table?: TimingTableArrays | undefined;
  /** Tiers that other workers may join; none: this worker is alone. */
  readonly tierPools?: TierPools | undefined;
}

/**
 * Makes a worker.
 *
 * @param worker Its number among the workers; ranks of different workers draw different numbers.
 * @throws {RangeError} If an argument cannot be used.
 */
export function createGroup(args: EngineArgs, ranks: number, worker: number, parts: GroupParts = {}): EngineGroup {
  const { table, tierPools = new TierPools(), tensorParallelSize = 1 } = parts;
  const timing = timingModel(args.timing_model, table);
  return new EngineGroup(Array.from({ length: ranks }, (_, rank) => {
    const sampler = draftSampler(args, worker * ranks + rank);
    if (args.backend === "sglang") return new SglangScheduler(args, timing, sampler);
    return new VllmScheduler(args, timing, sampler, tierPools.tiersOf(args, worker, tensorParallelSize));
  }));
}
