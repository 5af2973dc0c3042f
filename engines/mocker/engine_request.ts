/**
 * A request inside a scheduler.
 *
 * @module
 */
import type { GroupedBlocks } from "./grouped_cache.ts";
import type { BlockSequence } from "./sequence.ts";
import type { RequestState } from "./states/request_state.ts";
import type { HostRequest } from "./tiers/host_request.ts";

/** Where a request is. */
export type RequestStatus = "waiting" | "preempted" | "running" | "reserving" | "reserved" | "held" | "done";

const FIRST_BLOCKS = 16;
/** `scheduledIn` of a request that no pass has scheduled. */
export const NO_PASS: number = -1;

/** What a scheduler is given. */
export interface RequestSpec {
  /** The caller's name for it; the scheduler only hands it back. */
  readonly id: number;
  /** The blocks of prompt and answer. */
  readonly sequence: BlockSequence;
  /** The same in blocks of `prefix_match_unit` tokens, if there is one. */
  readonly units?: BlockSequence | undefined;
  /** Length of the prompt. @unit tokens */
  readonly promptTokens: number;
  /** Tokens to generate. @unit tokens */
  readonly maxOutputTokens: number;
}

/** A request and all a scheduler knows of it. Only schedulers write to it. */
export class EngineRequest {
  /** The caller's name for it. */
  readonly id: number;
  /** Its blocks by content. */
  readonly sequence: BlockSequence;
  /** The same in blocks of `prefix_match_unit` tokens, if there is one. */
  readonly units: BlockSequence | undefined;
  /** Length of the prompt. @unit tokens */
  readonly promptTokens: number;
  /** Tokens it may generate; a scheduler may lower it to what fits. @unit tokens */
  maxOutputTokens: number;
  /** Where it is. */
  status: RequestStatus = "waiting";
  /** Prompt and generated tokens. @unit tokens */
  knownTokens: number;
  /** Tokens it has produced. @unit tokens */
  outputTokens = 0;
  /** Tokens whose KV exists. @unit tokens */
  computedTokens = 0;
  /** Tokens the held blocks were asked for. @unit tokens */
  allocatedTokens = 0;
  /** Blocks it holds, by place. */
  blocks: Int32Array = new Int32Array(FIRST_BLOCKS);
  /** How many of `blocks` count. */
  blockCount = 0;
  /** Leading blocks that are visible for reuse. */
  cachedBlocks = 0;
  /** Leading blocks whose hash may be looked up. */
  hashedBlocks = 0;
  /** Tokens found in the cache at the first admission; -1 before. @unit tokens */
  firstCachedTokens: number = -1;
  /** How often it lost its blocks. */
  preemptions = 0;
  /** Whether its prompt was computed elsewhere. */
  isHandoff = false;
  /** Whether its blocks are kept when it ends, until it is released. */
  isSource = false;
  /** Place in the order of arrival. */
  order = 0;
  /** What it holds of a grouped cache. */
  grouped: GroupedBlocks | undefined = undefined;
  /** What it holds of a cache with states. */
  state: RequestState | undefined = undefined;
  /** What the host tier means to it, if there is one. */
  host: HostRequest | undefined = undefined;
  /** Number of the pass that scheduled it last. */
  scheduledIn: number = NO_PASS;
  /** What that pass computed. @unit tokens */
  scheduledTokens = 0;
  /** How much of that belongs to the prompt. @unit tokens */
  scheduledPrompt = 0;
  /** Prompt tokens that were there before. @unit tokens */
  scheduledPrefix = 0;

  /** Makes a waiting request. */
  constructor(spec: RequestSpec) {
    this.id = spec.id;
    this.sequence = spec.sequence;
    this.units = spec.units;
    this.promptTokens = spec.promptTokens;
    this.maxOutputTokens = spec.maxOutputTokens;
    this.knownTokens = spec.promptTokens;
  }

  /** Makes sure `blocks` can hold this many. */
  makeRoom(count: number): void {
    if (count <= this.blocks.length) return;
    const grown = new Int32Array(Math.max(count, 2 * this.blocks.length));
    grown.set(this.blocks);
    this.blocks = grown;
  }

  /** Tokens it may still generate. @unit tokens */
  remaining(maxModelLength: number): number {
    return Math.max(0, Math.min(this.maxOutputTokens - this.outputTokens, maxModelLength - this.knownTokens));
  }
}
