/**
 * Blocks in the memory of the host, and the copies to and from them.
 *
 * @source aisimulate-core 0.13.0, `host_offload/tier.rs`
 * @module
 */
import type { EngineRequest } from "../engine_request.ts";
import type { KvEvent } from "../kv_event.ts";
import { removedHostEvent, storedHostEvents } from "./host_events.ts";
import { HostLru } from "./host_lru.ts";
import type { HostBlock, HostClient, HostLink, HostTransfer, TransferKind } from "./host_transfer.ts";
import type { HostTransport } from "./host_transport.ts";

/** What a look into the tier finds: nothing, a block that is still being filled, or a block. */
export type HostFind = "miss" | "pending" | "hit";

/** A block that is to be stored. */
export interface HostKey {
  /** Its sequence hash. */
  readonly key: bigint;
  /** Its place in the request. */
  readonly place: number;
}

const KIND_ORDER: Readonly<Record<TransferKind, number>> = { store: 0, load: 1, promotion: 2 };

/**
 * One pool of host blocks, of one rank or of many.
 *
 * What a copy does to the tier happens when it physically ends, whoever lets time pass; the rank that asked for it hears
 * of it in its own time.
 */
export class HostTier {
  /** Blocks in all. */
  readonly capacity: number;
  readonly #blockBytes: number;
  readonly #transport: HostTransport;
  readonly #blocks = new Map<bigint, HostBlock>();
  readonly #lru = new HostLru<HostBlock>();
  readonly #clients: HostClient[] = [];
  readonly #underWay = new Set<HostTransfer>();
  #transfers = 0;
  #completions = 0;
  #nowMs = 0;

  /** Makes an empty pool. */
  constructor(capacity: number, blockBytes: number, transport: HostTransport) {
    this.capacity = capacity;
    this.#blockBytes = blockBytes;
    this.#transport = transport;
  }

  /** Whether it belongs to many ranks. */
  get isShared(): boolean {
    return this.#transport.isShared;
  }

  /** Blocks that are there or being filled. */
  get used(): number {
    return this.#blocks.size;
  }

  /** Blocks that are there. */
  get resident(): number {
    return [...this.#blocks.values()].filter(({ filledBy }) => filledBy === undefined).length;
  }

  /** How far its time has come. @unit milliseconds */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Adds a rank. @param listens Whether it wants to hear what the tier holds, beginning with what it holds now. */
  join(link: HostLink, listens: boolean, holdsStored: boolean): HostClient {
    const resident = [...this.#blocks.values()].filter((block) => block.filledBy === undefined);
    resident.sort((a, b) => a.place - b.place || (a.key < b.key ? -1 : 1));
    const client: HostClient = {
      id: this.#clients.length,
      link,
      holdsStored,
      prepared: [],
      done: [],
      events: listens ? storedHostEvents(resident) : undefined,
      seen: this.#completions,
    };
    this.#clients.push(client);
    return client;
  }

  /** Looks for a block. */
  find(key: bigint): HostFind {
    const block = this.#blocks.get(key);
    if (block === undefined) return "miss";
    return block.filledBy === undefined ? "hit" : "pending";
  }

  /** Makes a block the last to be evicted, if it could be. */
  touch(key: bigint): void {
    const block = this.#blocks.get(key);
    if (block !== undefined && isIdle(block)) this.#lru.touch(block);
  }

  /**
   * Reserves room for those blocks that are missing; older ones are evicted for it, but none of these.
   *
   * @returns The copy, which for a store begins with `submitPrepared`; none if nothing is missing or there is no room.
   */
  reserve(
    client: HostClient,
    kind: "store" | "promotion",
    request: EngineRequest,
    keys: readonly HostKey[],
    nowMs: number,
  ): HostTransfer | undefined {
    this.#settleUntil(nowMs);
    const missing = keys.filter(({ key }) => !this.#blocks.has(key));
    if (missing.length === 0) return undefined;
    const victims = this.#victimsFor(keys, missing.length);
    if (victims === undefined) return undefined;
    this.#evict(victims);
    const transfer = this.#open(kind, client, request);
    for (const { key, place } of missing) {
      const sequence = this.#isHeard ? request.sequence : undefined;
      const block: HostBlock = { key, place, sequence, filledBy: transfer, pins: 0 };
      this.#blocks.set(key, block);
      transfer.blocks.push(block);
    }
    if (kind === "store") client.prepared.push(transfer);
    return transfer;
  }

  /** Whether there is room for all of these blocks at once, or could be made. */
  canReserve(keys: readonly HostKey[]): boolean {
    const missing = keys.filter(({ key }) => !this.#blocks.has(key)).length;
    return this.#victimsFor(keys, missing) !== undefined;
  }

  /** Begins the stores that were prepared during the pass that has ended. */
  submitPrepared(client: HostClient, nowMs: number): void {
    const settledMs = this.#settleUntil(nowMs);
    for (const transfer of client.prepared.splice(0)) this.#begin(transfer, settledMs, nowMs);
  }

  /** Begins to load blocks that are all here; they cannot be evicted before it is over. */
  load(
    client: HostClient,
    request: EngineRequest,
    keys: readonly bigint[],
    nowMs: number,
    notBeforeMs: number,
  ): HostTransfer {
    const settledMs = this.#settleUntil(nowMs);
    const transfer = this.#open("load", client, request);
    for (const key of keys) {
      const block = this.#blocks.get(key)!;
      block.pins++;
      this.#lru.remove(block);
      transfer.blocks.push(block);
    }
    this.#begin(transfer, settledMs, Math.max(settledMs, notBeforeMs));
    return transfer;
  }

  /** Gives a load up, or withdraws it if it is over already; the lane keeps the time it was given. */
  cancelLoad(transfer: HostTransfer, nowMs: number): void {
    if (!transfer.isOver) this.#settleUntil(nowMs);
    if (transfer.isOver) {
      const { done } = transfer.client;
      const place = done.findIndex((entry) => entry.transfer === transfer);
      if (place >= 0) done.splice(place, 1);
      return;
    }
    this.#transport.cancel(transfer);
    this.#close(transfer);
    this.unpin(transfer.blocks);
  }

  /** Ends a promotion: its blocks are here. */
  completePromotion(transfer: HostTransfer): void {
    this.#close(transfer);
    for (const block of transfer.blocks) {
      block.filledBy = undefined;
      if (block.pins === 0) this.#lru.touch(block);
    }
    this.#publish(storedHostEvents(transfer.blocks));
    this.#wakeOthers(transfer.client);
  }

  /** Takes a promotion back that has not begun. */
  cancelPromotion(transfer: HostTransfer): void {
    this.#close(transfer);
    for (const { key } of transfer.blocks) this.#blocks.delete(key);
    this.#wakeOthers(transfer.client);
  }

  /** Lets go of blocks; those that nobody else holds can be evicted again. */
  unpin(blocks: readonly HostBlock[]): void {
    for (const block of blocks) block.pins--;
    this.#lru.touchTogether(blocks.filter(isIdle));
  }

  /**
   * Ends all copies that are due.
   *
   * @returns Those of this client that it has not heard of, and whether any copy, of whomever, is over since the last call.
   */
  tick(client: HostClient, nowMs: number): { readonly over: readonly HostTransfer[]; readonly progressed: boolean } {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#advance(this.#nowMs);
    const progressed = client.seen !== this.#completions;
    client.seen = this.#completions;
    const over: HostTransfer[] = [];
    while (client.done.length > 0 && client.done[0]!.atMs <= nowMs) over.push(client.done.shift()!.transfer);
    return { over, progressed };
  }

  /** When there is something for a client to do; infinite if there is not. @unit milliseconds */
  nextMs(client: HostClient): number {
    const next = this.#transport.nextMs;
    if ((client.events?.length ?? 0) > 0) return Math.min(next, this.#nowMs);
    if (!this.#transport.isShared) return next;
    const heardMs = client.seen === this.#completions ? Infinity : this.#nowMs;
    return Math.min(next, heardMs, client.done[0]?.atMs ?? Infinity);
  }

  /** Whether a client has copies under way or something to hear of. */
  hasWork(client: HostClient): boolean {
    if (client.done.length > 0 || (client.events?.length ?? 0) > 0) return true;
    for (const transfer of this.#underWay) if (transfer.client === client) return true;
    return false;
  }

  get #isHeard(): boolean {
    return this.#transport.isShared || this.#clients.some(({ events }) => events !== undefined);
  }

  #open(kind: TransferKind, client: HostClient, request: EngineRequest): HostTransfer {
    const id = this.#transfers++;
    const transfer = { id, kind, client, request, blocks: [], deadlineMs: undefined, isOver: false };
    this.#underWay.add(transfer);
    return transfer;
  }

  #begin(transfer: HostTransfer, nowMs: number, notBeforeMs: number): void {
    this.#transport.begin(transfer, transfer.blocks.length * this.#blockBytes, nowMs, notBeforeMs);
  }

  #close(transfer: HostTransfer): void {
    this.#underWay.delete(transfer);
    transfer.isOver = true;
  }

  #victimsFor(keys: readonly HostKey[], missing: number): HostBlock[] | undefined {
    const count = Math.max(0, missing - (this.capacity - this.#blocks.size));
    if (count === 0) return [];
    const spared = new Set(keys.map(({ key }) => key));
    const victims = this.#lru.victims(count, ({ key }) => spared.has(key));
    return victims.length === count ? victims : undefined;
  }

  #evict(victims: readonly HostBlock[]): void {
    if (victims.length === 0) return;
    for (const block of victims) {
      this.#blocks.delete(block.key);
      this.#lru.remove(block);
    }
    if (this.#isHeard) this.#publish([removedHostEvent(victims)]);
  }

  /** A lane that one rank owns hears of its ends from that rank; others share the time. */
  #settleUntil(nowMs: number): number {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (this.#transport.isShared) this.#advance(this.#nowMs);
    return this.#nowMs;
  }

  #advance(nowMs: number): void {
    const done = this.#transport.advance(nowMs);
    done.sort((a, b) =>
      a.atMs - b.atMs || KIND_ORDER[a.subject.kind] - KIND_ORDER[b.subject.kind] || a.subject.id - b.subject.id
    );
    for (const { subject, atMs } of done) this.#finish(subject, atMs);
  }

  #finish(transfer: HostTransfer, atMs: number): void {
    const { client, blocks } = transfer;
    this.#close(transfer);
    this.#completions++;
    if (transfer.kind === "load") {
      this.unpin(blocks);
    } else {
      for (const block of blocks) {
        block.filledBy = undefined;
        if (client.holdsStored) block.pins++;
      }
      if (!client.holdsStored) this.#lru.touchTogether(blocks);
      this.#publish(storedHostEvents(blocks));
    }
    client.done.push({ transfer, atMs });
  }

  #publish(events: readonly KvEvent[]): void {
    for (const client of this.#clients) client.events?.push(...events);
  }

  /** Something that others wait for has come or gone without a copy of theirs. */
  #wakeOthers(client: HostClient): void {
    if (!this.#transport.isShared) return;
    const hadHeard = client.seen === this.#completions++;
    if (hadHeard) client.seen = this.#completions;
  }
}

function isIdle({ filledBy, pins }: HostBlock): boolean {
  return filledBy === undefined && pins === 0;
}
