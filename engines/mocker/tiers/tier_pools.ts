/**
 * Which ranks have which tiers.
 *
 * @source aisimulate-core 0.13.0, `host_offload/registry.rs`
 * @module
 */
import type { EngineArgs, HostOffloadArgs } from "../args.ts";
import { DiskTier } from "./disk_tier.ts";
import { HostTier } from "./host_tier.ts";
import { PrivateLanes, SharedLinks } from "./host_transport.ts";

/** Bandwidth of all ranks of a shared tier together. @unit gigabytes per second */
const SHARED_GBPS = 80;

/** A figure of a report, or several with names. */
export type Figure = number | string | null | readonly Figure[] | { readonly [name: string]: Figure };

/** A rank's part in the tiers. */
export interface RankTiers {
  /** The host tier. */
  readonly host: HostTier;
  /** The disk tier behind it. */
  readonly disk: DiskTier | undefined;
  /** Number of the worker, whose ranks have one disk. */
  readonly worker: number;
}

/** The tiers of one deployment. Ranks that share one must agree about what a block is. */
export class TierPools {
  #disk: DiskTier | undefined;
  #shared: { readonly contract: string; readonly tier: HostTier } | undefined;

  /** What the peer's report says of them. */
  get figures(): Readonly<Record<string, Figure>> {
    const disk = this.#disk;
    const shared = this.#shared?.tier;
    return {
      ...(disk === undefined ? {} : { g3_offload: disk.stats.report(disk.blocks) }),
      ...(shared === undefined ? {} : {
        g2_domains: [{
          capacity_blocks: shared.capacity,
          resident_blocks: shared.resident,
          used_blocks: shared.used,
        }],
      }),
    };
  }

  /**
   * The tiers for a rank; none if it has none.
   *
   * @param worker Number of its worker.
   * @param tensorParallelSize GPUs of the rank.
   * @throws {RangeError} If it does not agree with those who share the tier already.
   */
  tiersOf(args: EngineArgs, worker: number, tensorParallelSize: number): RankTiers | undefined {
    const { native_host_offload: offload, g3_offload, block_size, kv_cache_bytes_per_token: tokenBytes } = args;
    if (offload === undefined || tokenBytes === undefined) return undefined;
    if (g3_offload !== undefined) this.#disk ??= new DiskTier(g3_offload, block_size * tokenBytes);
    const host = this.#hostOf(args, offload, tokenBytes, tensorParallelSize);
    return { host, disk: g3_offload === undefined ? undefined : this.#disk, worker };
  }

  #hostOf(args: EngineArgs, offload: HostOffloadArgs, tokenBytes: number, tensorParallelSize: number): HostTier {
    const { block_size } = args;
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
