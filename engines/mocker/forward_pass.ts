/**
 * What a pass did and what was left waiting, as planners read it.
 *
 * @module
 */

/** Counts over the requests of a pass. */
export interface ScheduledRequests {
  /** Requests with prompt tokens. */
  num_prefill_requests: number;
  /** Tokens computed for them; of waiting ones, their prompts. @unit tokens */
  sum_prefill_tokens: number;
  /** Variance of their prompts. */
  var_prefill_length: number;
  /** What they had before. @unit tokens */
  sum_prefill_kv_tokens: number;
  /** Requests that have tokens already. */
  num_decode_requests: number;
  /** Their contexts. @unit tokens */
  sum_decode_kv_tokens: number;
  /** Variance of their contexts. */
  var_decode_kv_tokens: number;
}

/** Counts over the requests that wait. */
export interface QueuedRequests {
  /** Requests with prompt tokens. */
  num_prefill_requests: number;
  /** Tokens computed for them; of waiting ones, their prompts. @unit tokens */
  sum_prefill_tokens: number;
  /** Variance of their prompts. */
  var_prefill_length: number;
  /** Requests that have tokens already. */
  num_decode_requests: number;
  /** Their contexts. @unit tokens */
  sum_decode_kv_tokens: number;
  /** Variance of their contexts. */
  var_decode_kv_tokens: number;
}

/**
 * One pass of one rank.
 *
 * @source aisimulate-core 0.13.0, `scheduler/mod.rs`, `build_fpm_snapshot`: which lengths count, population variances
 */
export interface ForwardPass {
  /** Length of the pass. @unit seconds */
  wall_time: number;
  /** Those that ran. */
  readonly scheduled_requests: ScheduledRequests;
  /** Those that wait. */
  readonly queued_requests: QueuedRequests;
}

/** Count, sum and variance of lengths that come and go. Exact while the sums stay below 2^53. */
export class LengthMoments {
  /** How many. */
  count = 0;
  /** Their sum. */
  sum = 0;
  #squares = 0;

  /** Puts a length in. */
  add(length: number): void {
    this.count++;
    this.sum += length;
    this.#squares += length * length;
  }

  /** Takes a length out. */
  remove(length: number): void {
    this.count--;
    this.sum -= length;
    this.#squares -= length * length;
  }

  /** Takes all out. */
  clear(): void {
    this.count = this.sum = this.#squares = 0;
  }

  /** The population variance; 0 of nothing. */
  get variance(): number {
    const { count, sum } = this;
    return count === 0 ? 0 : Math.max(0, this.#squares * count - sum * sum) / count / count;
  }
}

/** A pass of a rank that had nothing to do but waited for others. */
export function idlePass(): ForwardPass {
  return {
    wall_time: 0,
    scheduled_requests: {
      num_prefill_requests: 0,
      sum_prefill_tokens: 0,
      var_prefill_length: 0,
      sum_prefill_kv_tokens: 0,
      num_decode_requests: 0,
      sum_decode_kv_tokens: 0,
      var_decode_kv_tokens: 0,
    },
    queued_requests: {
      num_prefill_requests: 0,
      sum_prefill_tokens: 0,
      var_prefill_length: 0,
      num_decode_requests: 0,
      sum_decode_kv_tokens: 0,
      var_decode_kv_tokens: 0,
    },
  };
}

/** Collects the lengths of one pass. */
export class ForwardPassTally {
  readonly #prefill = new LengthMoments();
  readonly #decode = new LengthMoments();
  #prefillTokens = 0;
  #prefillPrefix = 0;

  /** Tokens computed for prompts so far. @unit tokens */
  get prefillTokens(): number {
    return this.#prefillTokens;
  }

  /** Begins the next pass. */
  clear(): void {
    this.#prefill.clear();
    this.#decode.clear();
    this.#prefillTokens = this.#prefillPrefix = 0;
  }

  /** Notes a request that computes prompt tokens. */
  addPrefill(promptTokens: number, prefixTokens: number, computedTokens: number): void {
    this.#prefill.add(promptTokens);
    this.#prefillPrefix += prefixTokens;
    this.#prefillTokens += computedTokens;
  }

  /** Notes a request that decodes. */
  addDecode(contextTokens: number): void {
    this.#decode.add(contextTokens);
  }

  /** The pass so far, with what is queued. */
  finish(wallSeconds: number, queuedPrefill: LengthMoments, queuedDecode: LengthMoments): ForwardPass {
    return {
      wall_time: wallSeconds,
      scheduled_requests: {
        num_prefill_requests: this.#prefill.count,
        sum_prefill_tokens: this.#prefillTokens,
        var_prefill_length: this.#prefill.variance,
        sum_prefill_kv_tokens: this.#prefillPrefix,
        num_decode_requests: this.#decode.count,
        sum_decode_kv_tokens: this.#decode.sum,
        var_decode_kv_tokens: this.#decode.variance,
      },
      queued_requests: {
        num_prefill_requests: queuedPrefill.count,
        sum_prefill_tokens: queuedPrefill.sum,
        var_prefill_length: queuedPrefill.variance,
        num_decode_requests: queuedDecode.count,
        sum_decode_kv_tokens: queuedDecode.sum,
        var_decode_kv_tokens: queuedDecode.variance,
      },
    };
  }
}
