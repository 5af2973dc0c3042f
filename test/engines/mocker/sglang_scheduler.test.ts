import assert from "node:assert/strict";
import { test } from "node:test";
import { ALONE, createRank, eventText, signals, spec } from "../../support/mock_requests.ts";

const SGLANG = { backend: "sglang", timing_model: { type: "fixed", prefill_ms: 10, decode_ms: 2 } };

test("a pass computes prompts or decodes, never both", () => {
  const rank = createRank({ num_gpu_blocks: 32, ...SGLANG });
  rank.submit(spec(1, [1, 2], 3));
  assert.equal(signals(rank.pass(0, ALONE)), "1t");
  rank.submit(spec(2, [3, 4], 2));
  assert.equal(signals(rank.pass(10, ALONE)), "2t");
  assert.equal(signals(rank.pass(20, ALONE)), "1t 2T");
  assert.equal(signals(rank.pass(22, ALONE)), "1T");
  assert.equal(rank.isDrained, true);
});

test("a prompt longer than the chunk is computed in parts, ahead of the others", () => {
  const rank = createRank({ num_gpu_blocks: 32, ...SGLANG, sglang: { chunked_prefill_size: 8 } });
  rank.submit(spec(1, [1, 2, 3], 1));
  rank.submit(spec(2, [4], 1));
  assert.equal(signals(rank.pass(0, ALONE)), "");
  assert.equal(signals(rank.pass(10, ALONE)), "1T 2T");
  assert.equal(eventText(rank.takeKvEvents()), "+0..1 +2..2 +0..0");
});

test("lpm lets the longest cached prefix go first", () => {
  const sglang = { schedule_policy: "lpm" };
  const rank = createRank({ num_gpu_blocks: 64, max_num_seqs: 1, ...SGLANG, sglang });
  rank.submit(spec(1, [1, 2, 3], 1));
  rank.pass(0, ALONE);
  rank.submit(spec(2, [9, 8, 7], 1));
  rank.submit(spec(3, [1, 2, 6], 1));
  assert.equal(signals(rank.pass(10, ALONE)), "3T");
});

test("without room for the next tokens the request with the fewest gives way and starts over", () => {
  const sglang = { schedule_conservativeness: 0, clip_max_new_tokens: 1 };
  const rank = createRank({ num_gpu_blocks: 6, ...SGLANG, sglang });
  for (const id of [1, 2]) rank.submit(spec(id, [10 * id, 10 * id + 1], 6));
  const ended: string[] = [];
  let retracted = 0;
  for (let now = 0; rank.isReady && now < 1000; now += 10) {
    const pass = rank.pass(now, ALONE);
    rank.finishGroup(false, false);
    retracted += pass.preemptions;
    ended.push(...signals(pass).match(/\dT/g) ?? []);
  }
  assert.deepEqual(ended.toSorted(), ["1T", "2T"]);
  assert.ok(retracted > 0);
  assert.equal(rank.gauges.preemptions, retracted);
});

test("cancel() in every phase gives the pages back to the tree or the pool", () => {
  const rank = createRank({ num_gpu_blocks: 32, ...SGLANG, sglang: { chunked_prefill_size: 8 } });
  const requests = [[1, 2, 3], [4, 5], [6]].map((blocks, id) => rank.submit(spec(id, blocks, 9)));
  rank.pass(0, ALONE);
  rank.pass(10, ALONE);
  for (const request of requests) assert.equal(rank.cancel(request, true), true);
  assert.equal(rank.isDrained, true);
  const after = rank.submit(spec(9, Array.from({ length: 30 }, (_, i) => 100 + i), 1));
  let passes = 0;
  while (rank.isReady && passes < 50) rank.pass(20 + 10 * passes++, ALONE);
  assert.equal(after.status, "done");
});
