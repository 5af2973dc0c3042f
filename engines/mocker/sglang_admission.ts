/**
 * Which prompts a prefill pass of SGLang takes, and how much of each.
 *
 * @source aisimulate-core 0.13.0, `sglang/prefill.rs`, `sglang/policy.rs`
 * @module
 */
import type { EngineArgs } from "./args.ts";
import type { RadixCache, SglangRequest } from "./radix_cache.ts";
import type { WaitingQueue } from "./waiting_queue.ts";

/** With more waiting requests than this, longest prefix first is not worth its cost. */
const LPM_LIMIT = 128;
/** A match up to this long may come from another request of the queue. @unit tokens */
const SHORT_MATCH = 32;

/** A part of a prompt that a pass computes. */
export interface PrefillPart {
  /** Whose prompt. */
  readonly request: SglangRequest;
  /** What was there before. @unit tokens */
  readonly prefix: number;
  /** Where it ends. @unit tokens */
  readonly end: number;
  /** Whether the request had nothing before. */
  readonly isFirst: boolean;
}

/** Sorts the queue by cached prefix, those last whose prefix an earlier one will bring. */
export function sortByPrefix(
  waiting: WaitingQueue,
  cache: RadixCache,
  { block_size, sglang, ...args }: EngineArgs,
): void {
  if (sglang.schedule_policy !== "lpm" || !args.enable_prefix_caching || waiting.size > LPM_LIMIT) return;
  const pages = Math.ceil(SHORT_MATCH / block_size);
  const seen = new Set<number>();
  const scored = (waiting.takeAll() as SglangRequest[]).map((request) => {
    const full = Math.floor(request.knownTokens / block_size);
    request.sequence.hashThrough(full);
    const match = cache.matchLength(request, full) * block_size;
    let isLate = false;
    if (match <= SHORT_MATCH && full >= pages) {
      const { hashes } = request.sequence;
      const beginning = (hashes[2 * pages - 1]! & 0x1fffff) * 2 ** 32 + hashes[2 * pages - 2]!;
      isLate = seen.has(beginning);
      seen.add(beginning);
    }
    return { request, match, isLate };
  });
  scored.sort((a, b) => Number(a.isLate) - Number(b.isLate) || b.match - a.match);
  for (const { request } of scored) waiting.push(request);
}

/** Takes prompts from the head of the queue until a budget is used up; they hold their pages then. */
export function admitPrompts(
  waiting: WaitingQueue,
  cache: RadixCache,
  args: EngineArgs,
  ratio: number,
  running: readonly SglangRequest[],
): PrefillPart[] {
  const { block_size: pageSize, sglang, enable_prefix_caching: isCaching } = args;
  const inPages = (tokens: number) => Math.ceil(tokens / pageSize) * pageSize;
  const clipped = (request: SglangRequest) => Math.min(request.remainingTokens, sglang.clip_max_new_tokens);
  let reserved = 0;
  for (const request of running) reserved += clipped(request) * ratio;
  let total = cache.obtainable * pageSize - reserved;
  let input = sglang.max_prefill_tokens;
  let chunk = sglang.chunked_prefill_size;
  const slots = Math.max(0, (args.max_num_seqs ?? Infinity) - running.length);
  const parts: PrefillPart[] = [];
  while (parts.length < slots && waiting.size > 0 && chunk > 0) {
    const request = waiting.at(0) as SglangRequest;
    const isFirst = request.computedTokens === 0;
    let cached = 0;
    if (isFirst && isCaching) {
      // A request that has to sample computes at least its last token.
      const matchable = request.maxOutputTokens === 0 ? request.knownTokens : Math.max(0, request.knownTokens - 1);
      const pages = Math.floor(matchable / pageSize);
      request.sequence.hashThrough(pages);
      cached = cache.matchLength(request, pages) * pageSize;
    }
    const start = Math.max(request.computedTokens, cached);
    const missing = request.knownTokens - start;
    if (missing === 0 && !isFirst) break;
    const whole = inPages(missing) <= chunk;
    const tokens = whole ? missing : Math.min(missing, Math.floor(chunk / pageSize) * pageSize);
    if (!whole && tokens === 0) break;
    const charged = inPages(tokens);
    const output = tokens < missing ? 0 : clipped(request);
    if (charged + output >= total || charged > input || charged > chunk) break;
    const end = start + tokens;
    const prefix = take(cache, request, end, start, pageSize);
    if (prefix < 0) break;
    waiting.shift();
    request.computedTokens = end;
    request.allocatedTokens = inPages(end);
    cache.publish(request, Math.floor(prefix / pageSize), Math.floor(end / pageSize));
    parts.push({ request, prefix, end, isFirst });
    total -= charged + output;
    input -= charged;
    chunk -= charged;
  }
  return parts;
}

/** The tokens that were there already; -1 without room. */
function take(cache: RadixCache, request: SglangRequest, end: number, start: number, pageSize: number): number {
  const pages = Math.ceil(end / pageSize);
  const before = request.computedTokens;
  if (before > 0) return cache.extend(request, pages) ? before : -1;
  const cached = cache.allocate(request, pages, Math.floor(start / pageSize));
  return cached < 0 ? -1 : cached * pageSize;
}
