/**
 * Copies between the blocks of an engine and the host.
 *
 * @module
 */
import type { EngineRequest } from "../engine_request.ts";
import type { KvEvent } from "../kv_event.ts";
import type { BlockSequence } from "../sequence.ts";
import type { Keyed } from "./host_lru.ts";

/** A block of the host tier. */
export interface HostBlock extends Keyed {
  /** What fills it; none: it is there. */
  filledBy: HostTransfer | undefined;
  /** Copies that read it. */
  pins: number;
  /** A request that has it, kept while routers hear of the tier. */
  readonly sequence: BlockSequence | undefined;
  /** Its place in that request. */
  readonly place: number;
}

/**
 * Why blocks are reserved or read: a copy to the host, a copy from it, or a promotion from the disk tier.
 *
 * The order is that of copies which end at one time.
 */
export type TransferKind = "store" | "load" | "promotion";

/** A copy of some blocks. */
export interface HostTransfer {
  /** In order of preparation. */
  readonly id: number;
  /** Which way. */
  readonly kind: TransferKind;
  /** Whose it is. */
  readonly client: HostClient;
  /** For which request. */
  readonly request: EngineRequest;
  /** Its blocks. */
  readonly blocks: HostBlock[];
  /** Its end, if nothing can move it any more. @unit milliseconds */
  deadlineMs: number | undefined;
  /** Whether its last byte has arrived, or it was given up. */
  isOver: boolean;
}

/** The link of one rank. */
export interface HostLink {
  /** Towards the host; 0 takes no time. @unit gigabytes per second */
  readonly d2hGbps: number;
  /** From the host; 0 takes no time. @unit gigabytes per second */
  readonly h2dGbps: number;
  /** From the beginning of a copy to its first byte. @unit milliseconds */
  readonly latencyMs: number;
}

/** A rank as the tier knows it. Only the tier writes to it. */
export interface HostClient {
  /** Its number in the tier. */
  readonly id: number;
  /** Its link. */
  readonly link: HostLink;
  /** Whether what it has stored stays pinned until it says otherwise. */
  readonly holdsStored: boolean;
  /** Stores that begin with the end of its pass. */
  prepared: HostTransfer[];
  /** Copies that are over, which it has not heard of. */
  readonly done: { readonly transfer: HostTransfer; readonly atMs: number }[];
  /** Changes of the tier it has not heard of; none: it does not want to. */
  readonly events: KvEvent[] | undefined;
  /** Up to which completion it has heard of. */
  seen: number;
}
