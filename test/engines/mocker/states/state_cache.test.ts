import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineRequest } from "../../../../engines/mocker/engine_request.ts";
import type { RankScheduler } from "../../../../engines/mocker/rank_scheduler.ts";
import { TraceSequence } from "../../../../engines/mocker/replay/trace_sequence.ts";
import { ALONE, createRank, dice, rankArgs, signals, spec } from "../../../support/mock_requests.ts";
import { createGroup } from "../../../../engines/mocker/engine_factory.ts";

/** A state fills two blocks. */
const STATE = { kv_cache_bytes_per_token: 4, state_cache: { bytes_per_request: 32 } };

/** A request with a prompt of blocks and a rest, whose units have two tokens. */
function withUnits(id: number, blocks: readonly number[], promptTokens: number, maxOutputTokens: number) {
  const tokens = { blocks: Uint32Array.from(blocks), traceBlockSize: 4, promptTokens, maxOutputTokens, nonce: id };
  return { ...spec(id, blocks, maxOutputTokens, { promptTokens }), units: new TraceSequence(tokens, 2) };
}

function rankWithUnits(engine: Record<string, unknown>): RankScheduler {
  const args = { ...rankArgs({ ...STATE, ...engine }), prefix_match_unit: 2, emit_kv_events: false };
  return createGroup(args, 1, 0).ranks[0]!;
}

/** Tokens that each admission found, in order. */
function run(rank: RankScheduler): number[] {
  const found: number[] = [];
  for (let now = 0; rank.isReady;) {
    const pass = rank.pass(now, ALONE);
    found.push(...pass.admissions.map(({ reusedTokens }) => reusedTokens));
    now = pass.endMs;
    rank.settle(now);
  }
  return found;
}

test("a prefix is found where a pass ended, not wherever its blocks are", () => {
  const rank = createRank({ ...STATE, num_gpu_blocks: 32, max_num_batched_tokens: 8 });
  rank.submit(spec(1, [1, 2, 3], 1));
  assert.deepEqual(run(rank), [0]);
  // Its passes ended after two blocks and after three; the later state is all that is kept.
  rank.submit(spec(2, [1, 2, 9], 1));
  assert.deepEqual(run(rank), [0]);
  rank.submit(spec(3, [1, 2, 3, 4], 1));
  assert.deepEqual(run(rank), [12]);
});

test("a state counts as blocks, and a request that never has room for its own is rejected", () => {
  const rank = createRank({ ...STATE, num_gpu_blocks: 4 });
  rank.submit(spec(1, [1, 2], 1));
  rank.pass(0, ALONE);
  assert.equal(rank.gauges.inactiveBlocks, 4);
  rank.submit(spec(2, [1, 2, 3], 1));
  assert.equal(signals(rank.pass(100, ALONE)), "2!");
});

test("a request that outgrows the pool while it answers is rejected and leaves nothing", () => {
  const rank = createRank({ ...STATE, num_gpu_blocks: 5 });
  rank.submit(spec(1, [1], 30));
  run(rank);
  assert.deepEqual([rank.isDrained, rank.gauges.activeBlocks, rank.gauges.running], [true, 0, 0]);
});

test("with a unit a prefix is found within a block", () => {
  const rank = rankWithUnits({ num_gpu_blocks: 32 });
  rank.submit(withUnits(1, [1, 2, 3], 10, 1));
  run(rank);
  rank.submit(withUnits(2, [1, 2, 3], 12, 1));
  assert.deepEqual(run(rank), [10]);
});

for (const [what, create] of [["blocks", createRank], ["units", rankWithUnits]] as const) {
  test(`requests given up at any time leave nothing behind: ${what}`, () => {
    const random = dice(7);
    const rank = create({ ...STATE, num_gpu_blocks: 24, max_num_batched_tokens: 10, max_num_seqs: 6 });
    const live = new Set<EngineRequest>();
    let now = 0;
    for (let id = 0; id < 600; id++) {
      const blocks = [random(3), random(3), random(3), 100 + id];
      const made = rank.submit(withUnits(id, blocks, 3 + random(13), 1 + random(20)));
      live.add(made);
      for (const request of live) if (random(12) === 0 && live.delete(request)) rank.cancel(request, true, now);
      if (!rank.isReady) continue;
      now = rank.pass(now, ALONE).endMs;
      rank.settle(now);
    }
    run(rank);
    const { activeBlocks, waiting, running, preemptions } = rank.gauges;
    assert.deepEqual([activeBlocks, waiting, running, preemptions > 0], [0, 0, 0, true]);
    assert.ok(rank.sizes["indexed"]! <= 2 * 24);
  });
}
