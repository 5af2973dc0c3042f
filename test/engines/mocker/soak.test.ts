import assert from "node:assert/strict";
import { test } from "node:test";
import { replaySoak } from "../../support/replay_soak.ts";
import { soak, soakArgs, soakFaults } from "../../support/mocker_soak.ts";

const MINUTE_MS = 60_000;
const CLIENTS = 8;

for (const [name, args] of Object.entries(soakArgs(CLIENTS))) {
  test(`20 simulated minutes near capacity leave nothing behind, and nothing only grows: ${name}`, async () => {
    const notes = await soak({ args, clients: CLIENTS, durationMs: 20 * MINUTE_MS, noteEveryMs: 5 * MINUTE_MS });
    assert.equal(notes.length, 5);
    assert.deepEqual(soakFaults(notes), []);
    const { ends, preemptions, latestMs } = notes.at(-1)!;
    assert.ok(preemptions > 0 && ends["cancelled"]! > 300 && ends["length"]! > 3000, "the load was one");
    assert.ok(latestMs <= 1, "a timer rings at the next whole millisecond");
  });
}

for (const backend of ["vllm", "sglang"] as const) {
  test(`a divided replay of 20 minutes leaves nothing in either pool, and nothing only grows: ${backend}`, () => {
    const notes = replaySoak({ backend, durationMs: 20 * MINUTE_MS, noteEveryMs: 4 * MINUTE_MS });
    assert.deepEqual(soakFaults(notes), []);
    const { ends, preemptions } = notes.at(-1)!;
    assert.ok(ends["length"]! > 10_000 && preemptions > 0 && notes[2]!.most["handedOver"]! > 5, "the load was one");
  });
}

test("what is left behind, grows or drifts is told", () => {
  const note = { atMs: 0, ends: {}, preemptions: 0, tokens: 0, heapBytes: 0, driftNs: 0, roundingNs: 1, latestMs: 0 };
  const of = (sizes: Readonly<Record<string, number>>, driftNs = 0) => ({ ...note, driftNs, sizes, most: sizes });
  assert.deepEqual(soakFaults([of({ active: 9 }), of({ active: 9 }), of({ active: 0 })]), []);
  assert.deepEqual(
    soakFaults([of({ active: 9 }), of({ active: 90 }), of({ active: 1, indexed: 2, usedBlocks: 3 }, -5)]),
    [
      "1 of active are left",
      "3 blocks are still used",
      "2 contents are indexed, 0 blocks cached",
      "the clock is -5 ns beyond the sum of its passes",
      "most active grew from 9 to 90",
    ],
  );
  assert.deepEqual(soakFaults([of({ told: 0, heap: 99, mirrored: 4, usedBlocks: 3 })]), [
    "routers believe in 4 blocks, 3 are cached",
    "99 entries of the heap are left",
  ]);
});
