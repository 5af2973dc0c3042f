/**
 * What routers hear of a host tier.
 *
 * @source aisimulate-core 0.13.0, `host_offload/tier.rs`, `stored_events`
 * @module
 */
import type { KvEvent } from "../kv_event.ts";
import type { HostBlock } from "./host_transfer.ts";

/** Events for blocks that are there now; those that follow each other in one sequence are one event. */
export function storedHostEvents(blocks: readonly HostBlock[]): KvEvent[] {
  const events: KvEvent[] = [];
  for (let i = 0; i < blocks.length;) {
    const { sequence, place: first } = blocks[i]!;
    let count = 1;
    while (blocks[i + count]?.sequence === sequence && blocks[i + count]?.place === first + count) count++;
    if (sequence !== undefined) events.push({ kind: "stored", tier: "host_pinned", sequence, first, count });
    i += count;
  }
  return events;
}

/** The event for blocks that were evicted. */
export function removedHostEvent(blocks: readonly HostBlock[]): KvEvent {
  const hashes = BigUint64Array.from(blocks, ({ key }) => key);
  return { kind: "removed", tier: "host_pinned", hashes: new Uint32Array(hashes.buffer) };
}
