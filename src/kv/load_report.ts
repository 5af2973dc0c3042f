/**
 * What frontends are told of the blocks in use.
 *
 * @module
 */
import { encodeKvMetrics } from "../protocol/load_event.ts";

/** Makes the messages of one worker for the topic `kv_metrics`: one for each change, none for what is known already. */
export class LoadReport {
  readonly #workerId: bigint;
  readonly #known = new Map<number, number>();

  /** Starts with nothing told. */
  constructor(workerId: bigint) {
    this.#workerId = workerId;
  }

  /** Whether that is what was told last of a rank. */
  knows(dpRank: number, usedBlocks: number): boolean {
    return this.#known.get(dpRank) === usedBlocks;
  }

  /**
   * The payload that tells the blocks in use on a rank; `null` if it was told last.
   *
   * @source dynamo-llm 1.6.1, `WorkerMetricsPublisher`: identical values are not sent again
   */
  tell(dpRank: number, usedBlocks: number): Uint8Array | null {
    if (this.knows(dpRank, usedBlocks)) return null;
    this.#known.set(dpRank, usedBlocks);
    return encodeKvMetrics({
      worker_id: this.#workerId,
      dp_rank: dpRank,
      active_decode_blocks: null,
      active_prefill_tokens: null,
      kv_used_blocks: BigInt(usedBlocks),
    });
  }
}
