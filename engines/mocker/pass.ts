/**
 * What one pass of one rank brought.
 *
 * @module
 */
import type { EngineRequest } from "./engine_request.ts";
import { type ForwardPass, idlePass } from "./forward_pass.ts";

/** Flag of a signal: the request produced a token. */
export const TOKEN = 1;
/** Flag of a signal: the request is over. */
export const COMPLETED = 2;
/** Flag of a signal: it never ran, because it can never fit. */
export const REJECTED = 4;

/** A request that entered the batch. */
export interface Admission {
  /** Who entered. */
  readonly request: EngineRequest;
  /** Prompt tokens it found in the cache. @unit tokens */
  readonly reusedTokens: number;
}

/** Something about a prompt that is computed here for another worker, or there for this one. */
export type HandoffEvent =
  /** The prompt is computed; its blocks are kept until they are released. */
  | { readonly kind: "source_held"; readonly request: EngineRequest }
  /** There is room for the prompt; `missingTokens` of it have to be transferred. */
  | { readonly kind: "destination_reserved"; readonly request: EngineRequest; readonly missingTokens: number };

/** A pass. Its owner uses the same object for the next one: read it before. */
export class Pass {
  /** When it began. @unit milliseconds */
  startMs = 0;
  /** When its tokens, events and metrics appear. @unit milliseconds */
  endMs = 0;
  /** The requests that something happened to, in order; one entry a token. */
  readonly requests: EngineRequest[] = [];
  /** What happened, flag by flag; as long as `requests`. */
  readonly flags: number[] = [];
  /** Requests that entered the batch, in order. */
  readonly admissions: Admission[] = [];
  /** Requests that lost their blocks. */
  preemptions = 0;
  /** Whether it changed anything, so that another pass at the same time makes sense. */
  progressed = false;
  /** Whether another pass at the same time makes sense though nobody has heard of anything. */
  retries = false;
  /** Metrics of the pass. */
  forward: ForwardPass = idlePass();

  /** Forgets the last pass. */
  begin(startMs: number): void {
    this.startMs = this.endMs = startMs;
    this.requests.length = 0;
    this.flags.length = 0;
    this.admissions.length = 0;
    this.preemptions = 0;
    this.progressed = false;
    this.retries = false;
  }

  /** Notes a signal. */
  signal(request: EngineRequest, flags: number): void {
    this.requests.push(request);
    this.flags.push(flags);
  }

  /** Forgets what happened to a request that is cancelled before the pass ends. */
  drop(request: EngineRequest): void {
    let kept = 0;
    for (let i = 0; i < this.requests.length; i++) {
      if (this.requests[i] === request) continue;
      this.requests[kept] = this.requests[i]!;
      this.flags[kept++] = this.flags[i]!;
    }
    this.requests.length = kept;
    this.flags.length = kept;
  }

  /** Whether anything came of it that others can see. */
  get hasEffects(): boolean {
    return this.requests.length > 0 || this.admissions.length > 0 || this.preemptions > 0;
  }
}
