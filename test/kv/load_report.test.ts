import assert from "node:assert/strict";
import { test } from "node:test";
import { LoadReport } from "../../src/kv/load_report.ts";
import { decodeKvMetrics } from "../../src/protocol/load_event.ts";

test("a value is told once, and each rank's for itself", () => {
  const report = new LoadReport(7n);
  const tell = (rank: number, used: number) => {
    const payload = report.tell(rank, used);
    return payload && decodeKvMetrics(payload);
  };
  const none = { active_decode_blocks: null, active_prefill_tokens: null };
  assert.deepEqual(tell(0, 0), { worker_id: 7n, dp_rank: 0, ...none, kv_used_blocks: 0n });
  assert.equal(tell(0, 0), null);
  assert.deepEqual(tell(1, 0)?.dp_rank, 1);
  assert.equal(tell(0, 24)?.kv_used_blocks, 24n);
  assert.equal(tell(0, 0)?.kv_used_blocks, 0n);
});
