/**
 * Help for engines with several data-parallel ranks.
 *
 * @module
 */
import type { EngineConfig } from "../protocol/engine_config.ts";
import type { GenerateRequest } from "../protocol/request.ts";

/** A range of data-parallel ranks. */
export interface RankRange {
  /** The first. */
  readonly start: number;
  /** How many. */
  readonly size: number;
}

/** The ranks of a worker. */
export function rankRange(config: Pick<EngineConfig, "dataParallelStartRank" | "dataParallelSize">): RankRange {
  const { dataParallelStartRank: start = 0, dataParallelSize: size = 1 } = config;
  return { start, size };
}

/** The rank a router chose for a request; `null` if it chose none. @source dynamo-common 1.6.1, `forced_dp_rank` */
export function forcedDpRank(request: GenerateRequest): number | null {
  return request.routing.dp_rank ?? null;
}

/**
 * The rank if it is one of the worker's; `null` lets the engine choose, as it always should with a single rank.
 *
 * @param rank What {@linkcode forcedDpRank} said.
 * @param config What the engine's `start` returned.
 * @param warn Told of a rank that belongs to another worker.
 * @source dynamo-common 1.6.1, `validate_global_dp_rank`
 */
export function validateDpRank(
  rank: number | null,
  config: Pick<EngineConfig, "dataParallelStartRank" | "dataParallelSize">,
  warn: (message: string) => void = console.warn,
): number | null {
  const { start, size } = rankRange(config);
  if (rank === null || size <= 1) return null;
  if (rank >= start && rank < start + size) return rank;
  warn(
    `A request is for rank ${rank}, but this worker has ranks ${start} to ${start + size - 1}; the engine chooses one`,
  );
  return null;
}

/**
 * The endpoint of another rank's socket: engines take one port after the other.
 *
 * @param endpoint Endpoint of rank 0, such as `tcp://127.0.0.1:5557`.
 * @throws {RangeError} If it has no port to count from, or the port would be too high.
 * @source vLLM, `ZmqEventPublisher.offset_endpoint_port`
 */
export function offsetEndpointPort(endpoint: string, rank: number): string {
  const [, address, base] = /^(tcp:\/\/.+):(\d+)$/.exec(endpoint) ?? [];
  const port = Number(base) + rank;
  if (address !== undefined && port >= 1 && port <= 65_535) return `${address}:${port}`;
  throw new RangeError(`Cannot count ${rank} ports up from ${endpoint}: it has to be tcp://host:port`);
}
