/**
 * Requests for schedulers under test.
 *
 * @module
 */
import type { EngineArgs } from "../../engines/mocker/args.ts";
import { createGroup } from "../../engines/mocker/engine_factory.ts";
import type { RequestSpec } from "../../engines/mocker/engine_request.ts";
import { parseLaunchArgs } from "../../engines/mocker/launch_args.ts";
import type { KvEvent } from "../../engines/mocker/kv_event.ts";
import { COMPLETED, type Pass, TOKEN } from "../../engines/mocker/pass.ts";
import type { RankScheduler } from "../../engines/mocker/rank_scheduler.ts";
import { TraceSequence } from "../../engines/mocker/replay/trace_sequence.ts";

/** A group of one rank that does not wait for anybody. */
export const ALONE = { step: 0, size: 1 };

/** Arguments of a rank, with blocks of 4 tokens unless said otherwise. */
export function rankArgs(engine: Record<string, unknown>): EngineArgs {
  return { ...parseLaunchArgs({ engine: { block_size: 4, ...engine } }).engine, emit_kv_events: true };
}

/** One idle rank. */
export function createRank(engine: Record<string, unknown>): RankScheduler {
  return createGroup(rankArgs(engine), 1, 0).ranks[0]!;
}

/** A request whose prompt is blocks of 4 tokens with these names, cut at `promptTokens`. */
export function spec(
  id: number,
  blocks: readonly number[],
  maxOutputTokens: number,
  { blockSize = 4, promptTokens = 4 * blocks.length } = {},
): RequestSpec {
  const tokens = { blocks: Uint32Array.from(blocks), traceBlockSize: 4, promptTokens, maxOutputTokens, nonce: id };
  return { id, sequence: new TraceSequence(tokens, blockSize), promptTokens, maxOutputTokens };
}

/** Signals of a pass as text: `1t` a token of request 1, `1T` its last one, `1!` an end without one. */
export function signals({ requests, flags }: Pass): string {
  const letters: Record<number, string> = { [TOKEN]: "t", [TOKEN | COMPLETED]: "T" };
  return requests.map(({ id }, i) => `${id}${letters[flags[i]!] ?? "!"}`).join(" ");
}

/** Events as text: `+0..2` blocks 0 to 2 of a sequence, `-3` three blocks gone. */
export function eventText(events: readonly KvEvent[]): string {
  return events.map((event) =>
    event.kind === "stored" ? `+${event.first}..${event.first + event.count - 1}` : `-${event.hashes.length / 2}`
  ).join(" ");
}

/** Whole numbers below a bound, the same for the same seed. */
export function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}
