/**
 * What the host tier means to one request.
 *
 * @module
 */
import type { EngineRequest } from "../engine_request.ts";
import type { HostKey } from "./host_tier.ts";
import type { HostTransfer } from "./host_transfer.ts";

/** Blocks that come, or came, from the host. */
export interface LoadedPrefix {
  /** The copy. */
  readonly transfer: HostTransfer;
  /** Whether the rank has heard that it is over. */
  isHere: boolean;
  /** Leading blocks that are here with it. */
  readonly prefixBlocks: number;
  /** Blocks that all known tokens need. */
  readonly neededBlocks: number;
}

/** One request as a connector sees it. Only the connector writes to it. */
export interface HostRequest {
  /** The full blocks of its prompt. */
  readonly keys: readonly HostKey[];
  /** Leading blocks that are stored, or need not be. */
  storedBlocks: number;
  /** Its last store, until it is seen to be over. */
  latestStore: HostTransfer | undefined;
  /** What it loads or has loaded since it last ran. */
  load: LoadedPrefix | undefined;
}

/** Names the blocks of a request that has its hashes. */
export function hostRequest({ sequence, hashedBlocks }: EngineRequest): HostRequest {
  const { hashes } = sequence;
  const wide = new BigUint64Array(hashes.buffer as ArrayBuffer, hashes.byteOffset, hashedBlocks);
  const keys = Array.from(wide, (key, place) => ({ key, place }));
  return { keys, storedBlocks: 0, latestStore: undefined, load: undefined };
}
