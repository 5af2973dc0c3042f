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
import { VllmScheduler } from "./vllm_scheduler.ts";

/**
 * Makes a worker.
 *
 * @param worker Its number among the workers; ranks of different workers draw different numbers.
 * @throws {RangeError} If an argument cannot be used.
 */
export function createGroup(args: EngineArgs, ranks: number, worker: number, table?: TimingTableArrays): EngineGroup {
  if (args.native_host_offload !== undefined) {
    throw new RangeError("engine.native_host_offload is not modelled; leave it out");
  }
  const timing = timingModel(args.timing_model, table);
  return new EngineGroup(Array.from({ length: ranks }, (_, rank) => {
    const sampler = draftSampler(args, worker * ranks + rank);
    const Scheduler = args.backend === "sglang" ? SglangScheduler : VllmScheduler;
    return new Scheduler(args, timing, sampler);
  }));
}
