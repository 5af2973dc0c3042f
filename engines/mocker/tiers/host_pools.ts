/**
 * Which ranks have which host tier.
 *
 * @source aisimulate-core 0.13.0, `host_offload/registry.rs`
 * @module
 */
import type { EngineArgs } from "../args.ts";
import { HostTier } from "./host_tier.ts";
import { PrivateLanes, SharedLinks } from "./host_transport.ts";

/** Bandwidth of all ranks of a shared tier together. @unit gigabytes per second */
const SHARED_GBPS = 80;

/** The host tiers of one deployment. Ranks that share one must agree about what a block is. */
export class HostPools {
  #shared: { readonly contract: string; readonly tier: HostTier } | undefined;

  /**
   * The tier for a rank; none if it has none.
   *
   * @param tensorParallelSize GPUs of the rank.
   * @throws {RangeError} If it does not agree with those who share the tier already.
   */
  tierOf(args: EngineArgs, tensorParallelSize: number): HostTier | undefined {
    const { native_host_offload: offload, block_size, kv_cache_bytes_per_token: tokenBytes } = args;
    if (offload === undefined || tokenBytes === undefined) return undefined;
    const blockBytes = block_size * tokenBytes;
    const { num_host_blocks: blocks, d2h_bandwidth_gbps: d2hGbps, h2d_bandwidth_gbps: h2dGbps } = offload;
    if (offload.scope !== "cluster_shared") {
      const lanes = new PrivateLanes({ d2hGbps, h2dGbps, latencyMs: offload.latency_to_first_byte_ms ?? 0 });
      return new HostTier(blocks, blockBytes, lanes);
    }
    const d2hShared = offload.shared_d2h_bandwidth_gbps ?? SHARED_GBPS;
    const h2dShared = offload.shared_h2d_bandwidth_gbps ?? SHARED_GBPS;
    const contract = JSON.stringify({
      kv_layout_id: offload.kv_layout_id,
      tensor_parallel_size: tensorParallelSize,
      block_size,
      kv_cache_bytes_per_token: tokenBytes,
      num_host_blocks: blocks,
      shared_d2h_bandwidth_gbps: d2hShared,
      shared_h2d_bandwidth_gbps: h2dShared,
    });
    this.#shared ??= { contract, tier: new HostTier(blocks, blockBytes, new SharedLinks(d2hShared, h2dShared)) };
    if (this.#shared.contract === contract) return this.#shared.tier;
    throw new RangeError(
      `Cannot share the host tier: cluster_shared host_offload participants are incompatible: ` +
        `${this.#shared.contract} and ${contract}`,
    );
  }
}
