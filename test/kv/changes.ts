/**
 * Changes of a cache, for tests.
 *
 * @module
 */
import type { KvChange } from "../../src/kv/change.ts";
import type { StoredData } from "../../src/protocol/kv_event.ts";

/** Stored blocks of these names, after `parent`. A block's local hash is its name plus 1000. */
export function storedData(names: readonly number[], parent: number | null = null): StoredData {
  return {
    parent_hash: parent === null ? null : BigInt(parent),
    start_position: null,
    blocks: names.map((name) => ({
      block_hash: BigInt(name),
      tokens_hash: BigInt(name + 1000),
      mm_extra_info: null,
    })),
  };
}

/** A store on the device of rank 0, unless `rest` says otherwise. */
export function store(names: readonly number[], parent: number | null = null, rest: Partial<KvChange> = {}): KvChange {
  return { data: { stored: storedData(names, parent) }, tier: "device", dpRank: 0, ...rest };
}

/** A removal from the device of rank 0, unless `rest` says otherwise. */
export function remove(names: readonly number[], rest: Partial<KvChange> = {}): KvChange {
  return { data: { removed: { block_hashes: names.map(BigInt) } }, tier: "device", dpRank: 0, ...rest };
}

/** Everything of rank 0 is gone. */
export const CLEARED: KvChange = { data: "cleared", tier: "device", dpRank: 0 };

/** The numbers from one to another, both included. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
