/**
 * What drives a scheduler sees of it: the virtual clock of a replay and the real one of a worker alike.
 *
 * @module
 */
import type { EngineRequest, RequestSpec } from "./engine_request.ts";
import type { KvEvent } from "./kv_event.ts";
import type { HandoffEvent, Pass } from "./pass.ts";

/** State that gauges show. */
export interface RankGauges {
  /** Blocks that count as used. */
  readonly activeBlocks: number;
  /** Blocks that are cached and can be evicted. */
  readonly inactiveBlocks: number;
  /** Blocks in all; 0 for a cache without blocks of one size. */
  readonly totalBlocks: number;
  /** Share of the cache that counts as used, from 0 to 1. */
  readonly usage: number;
  /** Requests in the batch. */
  readonly running: number;
  /** Requests in front of it. */
  readonly waiting: number;
  /** Since the beginning. */
  readonly preemptions: number;
}

/** What the other ranks of a group mean for a pass. */
export interface GroupStep {
  /** Passes since all ranks were idle. */
  readonly step: number;
  /** Ranks in the group. */
  readonly size: number;
}

/**
 * The scheduler of one rank: pure, without clock, timers or promises.
 *
 * Every method is one step. After `pass(now)` the state is already that of the end of the pass; its signals,
 * metrics, events and hand-offs become visible at `pass.endMs`, when the driver calls `settle` and then takes them.
 */
export interface RankScheduler {
  /** Whether a pass would have something to do. */
  readonly isReady: boolean;
  /** Whether no request is left, not even one that is only held. */
  readonly isDrained: boolean;
  /** Whether anything can happen without a pass. */
  readonly hasCopies: boolean;
  /** When something happens without a pass, such as the end of a copy; infinite if nothing will. @unit milliseconds */
  readonly nextMs: number;
  /** Numbers for gauges. */
  readonly gauges: RankGauges;
  /** Entries of everything in it that grows and shrinks, by name; for finding what only grows. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Adds a request to the queue. */
  submit(spec: RequestSpec): EngineRequest;
  /** Adds a request whose blocks are kept at its end for a hand-off, until `releaseSource`. */
  submitSource(spec: RequestSpec): EngineRequest;
  /** Lets go of the blocks of a source. */
  releaseSource(request: EngineRequest): void;
  /**
   * Asks for room for a prompt that another worker computes; a `destination_reserved` event follows when there is.
   *
   * @throws {RangeError} If it can never fit.
   */
  reserveDestination(spec: RequestSpec, isIdle: boolean): EngineRequest;
  /** The prompt has arrived: the request may decode. */
  activateDestination(request: EngineRequest): void;
  /**
   * Forgets a request wherever it is; whether it was known. Signals of a pass that has not ended are dropped.
   *
   * @param nowMs When, for an idle rank that has copies under way. @unit milliseconds
   */
  cancel(request: EngineRequest, isIdle: boolean, nowMs?: number): boolean;
  /** Computes the next pass. */
  pass(nowMs: number, group: GroupStep): Pass;
  /** Tells that the group has computed its pass, and whether any rank of it worked on prompts or worked at all. */
  finishGroup(anyPrefilled: boolean, anyRan: boolean): void;
  /** Does what waited for the end of a pass, which is now. */
  settle(nowMs: number): void;
  /** Does what is due between passes. */
  advance(nowMs: number): void;
  /** Hand-offs since the last call. */
  takeHandoffs(): HandoffEvent[];
  /** Cache events since the last call; none if they are not captured. */
  takeKvEvents(): KvEvent[];
}
