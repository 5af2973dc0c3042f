import assert from "node:assert/strict";
import { test } from "node:test";
import { ALONE, createRank, eventText, signals, spec } from "../../support/mock_requests.ts";

const FIXED = { timing_model: { type: "fixed", prefill_ms: 10, decode_ms: 2 } };

test("the first token comes with the prompt, the others take a decoding step each", () => {
  const rank = createRank({ num_gpu_blocks: 8, ...FIXED });
  rank.submit(spec(1, [1, 2], 3));
  const passes = [10, 12, 14].map((endMs, i) => {
    const pass = rank.pass(i === 0 ? 0 : endMs - 2, ALONE);
    assert.equal(pass.endMs, endMs);
    return signals(pass);
  });
  assert.deepEqual(passes, ["1t", "1t", "1T"]);
  assert.deepEqual([rank.isReady, rank.isDrained, rank.gauges.activeBlocks], [false, true, 0]);
});

test("a long prompt is computed in parts of the token budget, and the rest of the budget goes to the next", () => {
  const rank = createRank({ num_gpu_blocks: 16, max_num_batched_tokens: 6, ...FIXED });
  rank.submit(spec(1, [1, 2], 2));
  rank.submit(spec(2, [3, 4], 1));
  assert.equal(signals(rank.pass(0, ALONE)), "");
  assert.equal(signals(rank.pass(10, ALONE)), "1t");
  assert.equal(signals(rank.pass(20, ALONE)), "1T 2T");
});

test("without chunked prefill a prompt waits until it fits the budget whole", () => {
  const rank = createRank({ num_gpu_blocks: 16, max_num_batched_tokens: 8, enable_chunked_prefill: false, ...FIXED });
  rank.submit(spec(1, [1], 2));
  rank.submit(spec(2, [2, 3], 1));
  assert.equal(signals(rank.pass(0, ALONE)), "1t");
  assert.equal(signals(rank.pass(10, ALONE)), "1T");
  assert.equal(signals(rank.pass(12, ALONE)), "2T");
});

test("max_num_seqs keeps the rest waiting", () => {
  const rank = createRank({ num_gpu_blocks: 16, max_num_seqs: 1, ...FIXED });
  rank.submit(spec(1, [1], 1));
  rank.submit(spec(2, [2], 1));
  const pass = rank.pass(0, ALONE);
  assert.equal(signals(pass), "1T");
  assert.equal(pass.forward.queued_requests.num_prefill_requests, 1);
  assert.equal(signals(rank.pass(10, ALONE)), "2T");
});

for (const [mode, order] of [["lifo", "1t"], ["fifo", "2t"]] as const) {
  test(`${mode} preemption takes the blocks of the ${mode === "lifo" ? "newest" : "oldest"} and keeps its tokens`, () => {
    const rank = createRank({ num_gpu_blocks: 3, preemption_mode: mode, ...FIXED });
    for (const id of [1, 2]) rank.submit(spec(id, [id], 6));
    assert.equal(signals(rank.pass(0, ALONE)), "1t 2t");
    // Both want a second block and there is one left.
    const pass = rank.pass(10, ALONE);
    assert.deepEqual([pass.preemptions, signals(pass), rank.gauges.waiting], [1, order, 1]);
    const ended: string[] = [];
    for (let now = 12; rank.isReady; now += 20) ended.push(...signals(rank.pass(now, ALONE)).match(/\dT/g) ?? []);
    assert.deepEqual(ended.toSorted(), ["1T", "2T"]);
    assert.deepEqual([rank.gauges.activeBlocks, rank.gauges.preemptions > 0], [0, true]);
  });
}

test("a prompt that is cached whole computes its last block again", () => {
  const rank = createRank({ num_gpu_blocks: 16, ...FIXED });
  rank.submit(spec(1, [1, 2, 3], 1));
  rank.pass(0, ALONE);
  assert.equal(eventText(rank.takeKvEvents()), "+0..2");
  const again = rank.submit(spec(2, [1, 2, 3], 1));
  const pass = rank.pass(10, ALONE);
  assert.deepEqual([pass.admissions[0]?.reusedTokens, again.firstCachedTokens], [8, 8]);
  assert.equal(pass.forward.scheduled_requests.sum_prefill_tokens, 4);
  assert.equal(eventText(rank.takeKvEvents()), "");
});

test("a block is found by the next request of the same pass", () => {
  const rank = createRank({ num_gpu_blocks: 16, ...FIXED });
  rank.submit(spec(1, [1, 2, 3], 1));
  rank.submit(spec(2, [1, 2, 4], 1));
  assert.deepEqual(rank.pass(0, ALONE).admissions.map(({ reusedTokens }) => reusedTokens), [0, 8]);
});

test("a prompt larger than the pool, or than max_model_len, is rejected at the end of the pass", () => {
  const small = createRank({ num_gpu_blocks: 2, ...FIXED });
  small.submit(spec(1, [1, 2, 3], 1));
  assert.equal(signals(small.pass(0, ALONE)), "1!");
  const short = createRank({ num_gpu_blocks: 8, max_model_len: 8, ...FIXED });
  short.submit(spec(1, [1, 2], 1));
  short.submit(spec(2, [3, 4], 99, { promptTokens: 6 }));
  assert.equal(signals(short.pass(0, ALONE)), "2t 1!");
  assert.equal(signals(short.pass(10, ALONE)), "2T");
});

test("TensorRT-LLM mode admits only what it can hold to the end", () => {
  const rank = createRank({ backend: "trtllm", num_gpu_blocks: 3, ...FIXED });
  rank.submit(spec(1, [1], 5));
  rank.submit(spec(2, [2], 1));
  assert.deepEqual(rank.pass(0, ALONE).admissions.map(({ request }) => request.id), [1]);
  for (let now = 10; rank.isReady; now += 10) assert.equal(rank.pass(now, ALONE).preemptions, 0);
});

for (const phase of ["waiting", "running", "preempted"] as const) {
  test(`cancel() of a ${phase} request gives everything back`, () => {
    const rank = createRank({ num_gpu_blocks: 3, ...FIXED });
    const requests = [1, 2].map((id) => rank.submit(spec(id, [id], 50)));
    if (phase !== "waiting") rank.pass(0, ALONE);
    if (phase === "preempted") rank.pass(10, ALONE);
    assert.ok(phase === "waiting" || requests.some(({ status }) => status === phase));
    for (const request of requests) {
      assert.equal(rank.cancel(request, true), true);
      assert.equal(rank.cancel(request, true), false);
    }
    const { activeBlocks, running, waiting } = rank.gauges;
    assert.deepEqual([activeBlocks, running, waiting, rank.isDrained], [0, 0, 0, true]);
  });
}

test("cancel() during a pass drops what the pass would have said of the request", () => {
  const rank = createRank({ num_gpu_blocks: 8, ...FIXED });
  const [first] = [1, 2].map((id) => rank.submit(spec(id, [id], 9)));
  const pass = rank.pass(0, ALONE);
  rank.cancel(first!, false);
  assert.equal(signals(pass), "2t");
});

test("a prompt computed elsewhere decodes here once it has arrived", () => {
  const prefill = createRank({ num_gpu_blocks: 8, worker_type: "prefill", ...FIXED });
  const source = prefill.submitSource(spec(1, [1, 2], 1));
  assert.equal(signals(prefill.pass(0, ALONE)), "1T");
  assert.deepEqual(prefill.takeHandoffs().map(({ kind }) => kind), ["source_held"]);
  assert.deepEqual([prefill.isReady, prefill.isDrained, prefill.gauges.activeBlocks], [false, false, 2]);

  const decode = createRank({ num_gpu_blocks: 8, worker_type: "decode", ...FIXED });
  const target = decode.reserveDestination(spec(1, [1, 2], 2), true);
  assert.deepEqual(decode.takeHandoffs(), [{ kind: "destination_reserved", request: target, missingTokens: 8 }]);
  assert.equal(decode.isReady, false);
  decode.activateDestination(target);
  prefill.releaseSource(source);
  assert.equal(prefill.isDrained, true);
  assert.equal(signals(decode.pass(10, ALONE)), "1t");
  assert.equal(signals(decode.pass(12, ALONE)), "1T");
  assert.equal(decode.isDrained, true);
});

test("a prompt from elsewhere that can never fit is refused in words", () => {
  const decode = createRank({ num_gpu_blocks: 2, worker_type: "decode", ...FIXED });
  assert.throws(() => decode.reserveDestination(spec(1, [1, 2, 3], 1), true), /exceed the block pool/);
});

test("a decode worker and a cache that is off tell nothing", () => {
  for (const engine of [{ worker_type: "decode" }, { enable_prefix_caching: false }]) {
    const rank = createRank({ num_gpu_blocks: 8, ...engine, ...FIXED });
    rank.submit(spec(1, [1, 2], 1));
    rank.pass(0, ALONE);
    assert.deepEqual(rank.takeKvEvents(), []);
  }
});
