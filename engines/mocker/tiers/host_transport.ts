/**
 * The links that host blocks travel over.
 *
 * @source aisimulate-core 0.13.0, `host_offload/tier.rs`, `Transport`
 * @module
 */
import { bytesPerMs, type Done, FairTransfers } from "./fair_transfers.ts";
import type { HostLink, HostTransfer } from "./host_transfer.ts";
import { TransferLane } from "./transfer_lane.ts";

/** How copies take time. */
export interface HostTransport {
  /** Whether copies of several ranks meet here, so that no end is certain before it comes. */
  readonly isShared: boolean;
  /** When something happens next; infinite if nothing is under way. @unit milliseconds */
  readonly nextMs: number;
  /** Begins a copy. */
  begin(transfer: HostTransfer, bytes: number, nowMs: number, notBeforeMs: number): void;
  /** Gives a copy up. */
  cancel(transfer: HostTransfer): void;
  /** Lets time pass; what ends. */
  advance(nowMs: number): Done<HostTransfer>[];
}

/** Two lanes of one rank, in which copies follow each other. */
export class PrivateLanes implements HostTransport {
  readonly isShared: boolean = false;
  readonly #toHost: TransferLane;
  readonly #fromHost: TransferLane;
  #underWay: HostTransfer[] = [];

  /** Makes idle lanes. */
  constructor({ d2hGbps, h2dGbps }: HostLink) {
    this.#toHost = new TransferLane(d2hGbps);
    this.#fromHost = new TransferLane(h2dGbps);
  }

  get nextMs(): number {
    let next = Infinity;
    for (const { deadlineMs } of this.#underWay) next = Math.min(next, deadlineMs!);
    return next;
  }

  begin(transfer: HostTransfer, bytes: number, _nowMs: number, notBeforeMs: number): void {
    const lane = transfer.kind === "load" ? this.#fromHost : this.#toHost;
    transfer.deadlineMs = lane.submit(notBeforeMs + transfer.client.link.latencyMs, bytes);
    this.#underWay.push(transfer);
  }

  cancel(transfer: HostTransfer): void {
    this.#underWay = this.#underWay.filter((other) => other !== transfer);
  }

  advance(nowMs: number): Done<HostTransfer>[] {
    if (this.nextMs > nowMs) return [];
    const due = this.#underWay.filter(({ deadlineMs }) => deadlineMs! <= nowMs);
    this.#underWay = this.#underWay.filter(({ deadlineMs }) => deadlineMs! > nowMs);
    return due.map((subject) => ({ subject, atMs: subject.deadlineMs! }));
  }
}

/** The links of many ranks, and what all of them have together. */
export class SharedLinks implements HostTransport {
  readonly isShared: boolean = true;
  readonly #transfers = new FairTransfers<HostTransfer>();
  readonly #writeRate: number;
  readonly #readRate: number;

  /** Makes idle links. @param d2hGbps Limit of all copies to the host; 0 is none. @unit gigabytes per second */
  constructor(d2hGbps: number, h2dGbps: number) {
    this.#writeRate = bytesPerMs(d2hGbps);
    this.#readRate = bytesPerMs(h2dGbps);
  }

  get nextMs(): number {
    return this.#transfers.nextMs;
  }

  begin(transfer: HostTransfer, bytes: number, nowMs: number, notBeforeMs: number): void {
    const { id, link } = transfer.client;
    const isLoad = transfer.kind === "load";
    this.#transfers.submit({
      subject: transfer,
      client: id,
      direction: isLoad ? "read" : "write",
      readyMs: Math.max(nowMs, notBeforeMs + link.latencyMs),
      bytes,
      clientRate: bytesPerMs(isLoad ? link.h2dGbps : link.d2hGbps),
      sharedRate: isLoad ? this.#readRate : this.#writeRate,
    });
  }

  cancel(transfer: HostTransfer): void {
    this.#transfers.cancel(transfer);
  }

  advance(nowMs: number): Done<HostTransfer>[] {
    return this.#transfers.advance(nowMs);
  }
}
