/**
 * What a request holds of a cache with recurrent states.
 *
 * @module
 */
import type { Page } from "./page_pool.ts";

/** A page that is owned until the next pass begins, or until its request gives it up. */
export interface CopySource {
  /** The page; none: it is given up. */
  page: Page | undefined;
}

/** Pages of one request. Only the cache writes to it. */
export class RequestState {
  /** Its KV, by place. */
  readonly pages: Page[] = [];
  /** The state that its next tokens are computed on; empty before the first ones. */
  working: Page[] = [];
  /** Tokens that are in the state. @unit tokens */
  computedTokens = 0;
  /** The block that the state belongs to, if states follow blocks. */
  slot = -1;
  /** The state before it, which the pass still reads. */
  previous: Page[] = [];
  /** The pass that reads it. */
  previousIn = -1;
  /** What the pass still copies from or to. */
  copies: CopySource[] = [];
  /** The pass that copies. */
  copiesIn = -1;
  /** The last published state. */
  snapshot: Page[] = [];
  /** Its name. */
  snapshotName: bigint | undefined = undefined;
  /** The pass that published it. */
  snapshotIn = -1;
  /** Whether the request owns it besides the working state. */
  ownsSnapshot = false;
}
