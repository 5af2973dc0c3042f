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

/** Why routers should not know of an event, in the words of the reference worker's metrics. */
export type FilterReason =
  | "ignored_event"
  | "unknown_medium"
  | "non_local_locality"
  | "unsupported_ownership"
  | "unknown_ownership"
  | "non_main_attention_kind"
  | "unknown_kind"
  | "non_main_attention_group"
  | "unlearned_group_idx"
  | "ambiguous_cache_namespace";

/** What became of one event of a batch. */
export type Translation =
  & {
    /** The event's kind. */
    readonly type: EngineEvent["type"];
  }
  & (
    | {
      /** What to publish. */
      readonly change: KvChange;
      /** Blocks left out because they are not of the worker's block size. */
      readonly left: number;
    }
    | {
      /** Why it was left out. */
      readonly filtered: FilterReason;
    }
    | {
      /** What makes no sense about it. */
      readonly unusable: string;
    }
  );

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
/** Kinds of attention that forget, or see, something else than all tokens before. */
const OTHER_KINDS: ReadonlySet<string> = new Set([
  ...["sliding_window", "sliding_window_mla", "chunked_local_attention", "mamba"],
  ...["cross_attention", "encoder_only_attention"],
]);
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
  /** Why blocks of a group are left out that say nothing of their kind; `null` if they are not. */
  readonly #groups = new Map<number, FilterReason | null>([[0, null]]);
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
    if (type === "Ignored") return { type, filtered: "ignored_event" };
    if (type === "AllBlocksCleared") {
      const filtered = owner(event.ownership);
      if (filtered !== null) return { type, filtered };
      this.#namespaces.clear();
      return { type, change: { data: "cleared", tier: "device", dpRank }, left: 0 };
    }
    const tier = tierOf(event.medium);
    if (tier === null) return { type, filtered: "unknown_medium" };
    const filtered = this.#filter(event);
    if (filtered !== null) return { type, filtered };
    if (type === "BlockStored") return this.#stored(event, tier, dpRank);
    for (const hash of event.block_hashes) this.#namespaces.delete(hash);
    return { type, change: { data: { removed: { block_hashes: event.block_hashes } }, tier, dpRank }, left: 0 };
  }

  #filter({ locality, ownership, kv_cache_spec_kind: kind, group_idx: group }: EngineBlockPlace): FilterReason | null {
    if (locality !== null && locality !== "LOCAL") return "non_local_locality";
    const foreign = owner(ownership);
    if (foreign !== null) return foreign;
    if (kind === null) {
      return group === null ? null : this.#groups.has(group) ? this.#groups.get(group)! : "unlearned_group_idx";
    }
    if (MAIN_KINDS.has(kind)) return this.#learn(group, null, null);
    return OTHER_KINDS.has(kind)
      ? this.#learn(group, "non_main_attention_group", "non_main_attention_kind")
      : this.#learn(group, "unknown_kind", "unknown_kind");
  }

  /** Remembers what to do with a group's blocks that come without a kind. Returns what to do with this one. */
  #learn(group: number | null, later: FilterReason | null, now: FilterReason | null): FilterReason | null {
    if (group !== null) this.#groups.set(group, later);
    return now;
  }

  #stored(event: EngineBlockStored, tier: StorageTier, dpRank: number): Translation {
    const { type, block_hashes: names, parent_block_hash: parent, block_size } = event;
    const all = parent === null ? names : [parent, ...names];
    if (new Set(all).size !== all.length) {
      return { type, unusable: "it has a block twice, or a block that is its own parent" };
    }
    const inherited = parent === null ? null : this.#namespaces.get(parent) ?? null;
    if (event.cache_salt === null && inherited === AMBIGUOUS) return { type, filtered: "ambiguous_cache_namespace" };
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
    return { type, change, left: isOurSize ? left : names.length };
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

/** Why blocks are left out whose manager is named; those of the engine itself carry no name. */
function owner(ownership: string | null): FilterReason | null {
  if (ownership === null) return null;
  return ownership === "kvcr" ? "unsupported_ownership" : "unknown_ownership";
}
