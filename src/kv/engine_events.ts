/**
 * An engine's own KV events as changes that routers understand.
 *
 * @module
 */
import { withPadTokens } from "../protocol/mm_hash.ts";
import type { EngineBatch, EngineBlockPlace, EngineBlockStored, EngineEvent } from "../protocol/engine_batch.ts";
import type { StorageTier } from "../protocol/kv_event.ts";
import type { StoredTokens } from "../engine/kv_source.ts";
import { hashStored, type KvChange } from "./change.ts";

/** Why an event does not go on to routers. */
export type FilterReason =
  | "ignored"
  | "medium"
  | "locality"
  | "ownership"
  | "cache_kind"
  | "cache_group"
  | "duplicate_hash"
  | "ambiguous_namespace";

/** What became of one event of a batch. */
export type Translation =
  | {
    /** What to publish. */
    readonly change: KvChange;
    /** Blocks left out because they are not of the worker's block size. */
    readonly left: number;
  }
  | {
    /** The event's kind, for the count of what was left out. */
    readonly type: EngineEvent["type"];
    /** Why it was left out. */
    readonly filtered: FilterReason;
  };

/** What a translator has to know. */
export interface EngineEventOptions {
  /** Block size of the worker's card. @unit tokens */
  readonly blockSize: number;
  /** Token that stands for pieces of an image; without it images stay in the hashes as they come. */
  readonly imageTokenId?: number;
}

/** Media by place. @source dynamo-llm 1.6.1, `StorageTier::from_kv_medium` */
const TIER_OF_MEDIUM: Readonly<Record<string, StorageTier>> = {
  "": "device",
  GPU: "device",
  DEVICE: "device",
  CPU: "host_pinned",
  CPU_PINNED: "host_pinned",
  CPU_TIER1: "host_pinned",
  CPU_TIER2: "disk",
  DISK: "disk",
  NVME: "disk",
  STORAGE: "disk",
  EXTERNAL: "external",
  NETWORK: "external",
  REMOTE: "external",
  SHARED: "external",
};
/** Kinds of attention whose blocks a prefix can be found by. */
const MAIN_KINDS: ReadonlySet<string> = new Set(["full_attention", "mla_attention", "sink_full_attention"]);
/** A block that was seen in two namespaces. */
const AMBIGUOUS = Symbol("ambiguous");

/**
 * Translates the batches of one engine socket, in order. It learns which groups hold the main cache, and the namespace
 * of each block the engine holds.
 *
 * @source dynamo-llm 1.6.1, KV event publisher: ZMQ listener
 */
export class EngineEventTranslator {
  readonly #options: EngineEventOptions;
  readonly #mainGroups = new Set<number>([0]);
  readonly #namespaces = new Map<bigint, string | null | typeof AMBIGUOUS>();

  /** Has learned nothing yet. */
  constructor(options: EngineEventOptions) {
    this.#options = options;
  }

  /** What becomes of each event of a batch. The changes carry the batch's rank, whatever the source's is. */
  translate({ events, data_parallel_rank }: EngineBatch): Translation[] {
    return events.map((event) => this.#one(event, data_parallel_rank));
  }

  #one(event: EngineEvent, dpRank: number): Translation {
    const { type } = event;
    if (type === "Ignored") return { type, filtered: "ignored" };
    if (type === "AllBlocksCleared") {
      if (!isFramework(event.ownership)) return { type, filtered: "ownership" };
      this.#namespaces.clear();
      return { change: { data: "cleared", tier: "device", dpRank }, left: 0 };
    }
    const tier = tierOf(event.medium);
    if (tier === null) return { type, filtered: "medium" };
    const filtered = this.#filter(event);
    if (filtered !== null) return { type, filtered };
    if (type === "BlockStored") return this.#stored(event, tier, dpRank);
    for (const hash of event.block_hashes) this.#namespaces.delete(hash);
    return { change: { data: { removed: { block_hashes: event.block_hashes } }, tier, dpRank }, left: 0 };
  }

  #filter({ locality, ownership, kv_cache_spec_kind: kind, group_idx: group }: EngineBlockPlace): FilterReason | null {
    if (locality !== null && locality !== "LOCAL") return "locality";
    if (!isFramework(ownership)) return "ownership";
    if (kind !== null) {
      const isMain = MAIN_KINDS.has(kind);
      if (isMain && group !== null) this.#mainGroups.add(group);
      return isMain ? null : "cache_kind";
    }
    return group === null || this.#mainGroups.has(group) ? null : "cache_group";
  }

  #stored(event: EngineBlockStored, tier: StorageTier, dpRank: number): Translation {
    const { type, block_hashes: names, parent_block_hash: parent, block_size } = event;
    const all = parent === null ? names : [parent, ...names];
    if (new Set(all).size !== all.length) return { type, filtered: "duplicate_hash" };
    const inherited = parent === null ? null : this.#namespaces.get(parent) ?? null;
    if (event.cache_salt === null && inherited === AMBIGUOUS) return { type, filtered: "ambiguous_namespace" };
    const namespace = event.cache_salt ?? (inherited === AMBIGUOUS ? null : inherited);
    for (const name of names) {
      const known = this.#namespaces.get(name);
      this.#namespaces.set(name, known === undefined || known === namespace ? namespace : AMBIGUOUS);
    }
    const isOurSize = block_size === this.#options.blockSize;
    const { stored, left } = hashStored({
      ...this.#tokens(event),
      blockHashes: isOurSize ? names : [],
      parentHash: parent,
      loraName: event.lora_name,
      cacheNamespace: namespace,
      isEagle: event.is_bigram,
    }, this.#options.blockSize);
    const change = {
      ...{ data: { stored }, tier, dpRank },
      ...(event.session_id === null ? {} : { sessionId: event.session_id }),
    };
    return { change, left: isOurSize ? left : names.length };
  }

  #tokens({ token_ids, block_mm_infos }: EngineBlockStored): StoredTokens {
    const { imageTokenId } = this.#options;
    if (imageTokenId === undefined) return { tokenIds: token_ids, mmInfos: block_mm_infos };
    const hashes = block_mm_infos.flatMap((info) => info?.mm_objects.map((object) => object.mm_hash) ?? []);
    return { tokenIds: withPadTokens(token_ids, imageTokenId, [...new Set(hashes)]) };
  }
}

/** Where blocks of a medium lie; `null` for media that routers cannot place. */
function tierOf(medium: string | null): StorageTier | null {
  return Object.hasOwn(TIER_OF_MEDIUM, medium ?? "") ? TIER_OF_MEDIUM[medium ?? ""]! : null;
}

function isFramework(ownership: string | null): boolean {
  return ownership === null || ownership === "framework";
}
