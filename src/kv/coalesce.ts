/**
 * Merging changes that belong together.
 *
 * @module
 */
import type { StoredBlock } from "../protocol/kv_event.ts";
import type { KvChange } from "./change.ts";

/** An event that reached this size takes no more. @unit blocks @source dynamo-llm 1.6.1, KV event publisher */
const FULL_EVENT_BLOCKS = 128;

/** A change that may still grow. */
interface Pending {
  readonly change: KvChange;
  readonly blocks: StoredBlock[] | null;
  readonly hashes: bigint[] | null;
}

/**
 * Merges neighbours: stored blocks that continue the blocks before them, and removed blocks. Only changes of the same
 * place, rank and session are merged, and the order stays.
 *
 * @source dynamo-llm 1.6.1, KV event publisher: batching of one input list
 */
export function coalesce(changes: readonly KvChange[]): KvChange[] {
  if (changes.length < 2) return [...changes];
  const merged: KvChange[] = [];
  let pending: Pending | null = null;
  for (const change of changes) {
    if (pending === null || !grow(pending, change)) {
      if (pending !== null) merged.push(finished(pending));
      pending = begin(change);
    }
    if (isFull(pending)) {
      merged.push(finished(pending));
      pending = null;
    }
  }
  if (pending !== null) merged.push(finished(pending));
  return merged;
}

function begin(change: KvChange): Pending {
  const { data } = change;
  return {
    change,
    blocks: data !== "cleared" && "stored" in data ? [...data.stored.blocks] : null,
    hashes: data !== "cleared" && "removed" in data ? [...data.removed.block_hashes] : null,
  };
}

/** Adds a change to the pending one; `false` if they do not belong together. */
function grow(pending: Pending, next: KvChange): boolean {
  const { change, blocks, hashes } = pending;
  const { data } = next;
  const isAlike = change.tier === next.tier && change.dpRank === next.dpRank && change.sessionId === next.sessionId;
  if (!isAlike || data === "cleared") return false;
  if (blocks !== null && "stored" in data) {
    const last = blocks.at(-1);
    if (last === undefined || data.stored.parent_hash !== last.block_hash) return false;
    for (const block of data.stored.blocks) blocks.push(block);
    return true;
  }
  if (hashes === null || !("removed" in data)) return false;
  for (const hash of data.removed.block_hashes) hashes.push(hash);
  return true;
}

function isFull({ change, blocks, hashes }: Pending): boolean {
  return change.data === "cleared" || (blocks ?? hashes ?? []).length >= FULL_EVENT_BLOCKS;
}

function finished({ change, blocks, hashes }: Pending): KvChange {
  const { data } = change;
  if (data !== "cleared" && "stored" in data && blocks !== null) {
    return { ...change, data: { stored: { ...data.stored, blocks } } };
  }
  return hashes === null ? change : { ...change, data: { removed: { block_hashes: hashes } } };
}
