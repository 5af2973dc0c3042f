/**
 * A link that does one copy after the other.
 *
 * @source aisimulate-core 0.13.0, `host_offload/tier.rs`, `FifoLane`
 * @module
 */
import { bytesPerMs } from "./fair_transfers.ts";

/** One direction of a private link. */
export class TransferLane {
  readonly #bytesPerMs: number;
  #tailMs = 0;

  /** Makes an idle lane. @param gigabytesPerSecond 0 takes no time. */
  constructor(gigabytesPerSecond: number) {
    this.#bytesPerMs = bytesPerMs(gigabytesPerSecond);
  }

  /** Puts a copy behind all others; its end, which nothing moves any more. @unit milliseconds */
  submit(notBeforeMs: number, bytes: number): number {
    const startMs = Math.max(this.#tailMs, notBeforeMs);
    this.#tailMs = startMs + (this.#bytesPerMs === Infinity ? 0 : bytes / this.#bytesPerMs);
    return this.#tailMs;
  }
}
