/**
 * Our own load client: a closed loop of requests over the worker's own planes, without any peer.
 *
 * @module
 */
import { openClient } from "../../src/client/client.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { parseJson } from "../../src/protocol/payload.ts";
import type { InstanceRecord } from "../../src/protocol/record.ts";

/** What to send. */
export interface LoadOptions {
  readonly concurrency: number;
  readonly requests: number;
  /** Tokens of each prompt. */
  readonly inputTokens: number;
  /** Tokens of each answer. */
  readonly outputTokens: number;
  /** Requests before the measurement. */
  readonly warmup: number;
}

/** What was measured, in the words of the Rust load client where it measures the same. Times are in milliseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly secs: number;
  readonly tok_s: number;
  readonly req_s: number;
  readonly ttft_p50_ms: number;
  readonly ttft_p99_ms: number;
  readonly itl_p50_ms: number;
  readonly itl_p99_ms: number;
  readonly lat_p50_ms: number;
  readonly lat_p99_ms: number;
}

/** Loads the worker of an endpoint record. Chunks are counted, not decoded: one token each is what the engines yield. */
export async function runLoad(record: string, options: LoadOptions): Promise<LoadResult> {
  const { net, clock, random } = realPlatform;
  const instance = parseJson(record) as InstanceRecord;
  await using client = await openClient({ net, clock, random });
  const tokenIds = Array.from({ length: options.inputTokens }, (_, index) => index % 250);
  const body = {
    model: "m",
    token_ids: tokenIds,
    stop_conditions: { max_tokens: options.outputTokens, ignore_eos: true },
    sampling_options: {},
    output_options: {},
    eos_token_ids: [],
    annotations: [],
  };

  const one = (seen: Samples) =>
    new Promise<void>((resolve) => {
      const begin = clock.now();
      let last = 0, chunks = 0;
      client.start(instance, { body }, {
        bytes() {
          const now = clock.now();
          if (chunks++ === 0) seen.firstTokens.push(now - begin);
          else seen.gaps.push(now - last);
          last = now;
        },
        ended(error) {
          if (error !== null || chunks < options.outputTokens) seen.errors++;
          seen.chunks += chunks;
          seen.latencies.push(clock.now() - begin);
          resolve();
        },
      });
    });
  const closedLoop = async (total: number, seen: Samples) => {
    let left = total;
    await Promise.all(Array.from({ length: options.concurrency }, async () => {
      while (left-- > 0) await one(seen);
    }));
  };

  await closedLoop(options.warmup, emptySamples());
  const seen = emptySamples();
  const begin = clock.now();
  await closedLoop(options.requests, seen);
  const secs = (clock.now() - begin) / 1000;
  const at = (values: number[], part: number) => {
    values.sort((a, b) => a - b);
    return values[Math.floor((values.length - 1) * part)] ?? NaN;
  };
  return {
    requests: options.requests,
    errors: seen.errors,
    secs,
    tok_s: seen.chunks / secs,
    req_s: options.requests / secs,
    ttft_p50_ms: at(seen.firstTokens, 0.5),
    ttft_p99_ms: at(seen.firstTokens, 0.99),
    itl_p50_ms: at(seen.gaps, 0.5),
    itl_p99_ms: at(seen.gaps, 0.99),
    lat_p50_ms: at(seen.latencies, 0.5),
    lat_p99_ms: at(seen.latencies, 0.99),
  };
}

interface Samples {
  readonly firstTokens: number[];
  readonly gaps: number[];
  readonly latencies: number[];
  chunks: number;
  errors: number;
}

function emptySamples(): Samples {
  return { firstTokens: [], gaps: [], latencies: [], chunks: 0, errors: 0 };
}
