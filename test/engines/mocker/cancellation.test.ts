import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineRequest } from "../../../engines/mocker/engine_request.ts";
import type { KvEvent } from "../../../engines/mocker/kv_event.ts";
import { ALONE, createRank, dice, spec } from "../../support/mock_requests.ts";

const REQUESTS = 1000;

/** Follows cache events as a router does; a block must not be stored twice nor removed without being there. */
class Mirror {
  readonly resident = new Set<bigint>();

  apply(events: readonly KvEvent[]): void {
    for (const event of events) {
      const hashes = event.kind === "stored" ? event.sequence.hashes : event.hashes;
      const all = new BigUint64Array(hashes.buffer, hashes.byteOffset, hashes.length / 2);
      if (event.kind === "removed") { for (const hash of all) assert.ok(this.resident.delete(hash)); }
      else for (const hash of all.subarray(event.first, event.first + event.count)) this.resident.add(hash);
    }
  }
}

for (
  const engine of [
    { num_gpu_blocks: 24, max_num_seqs: 8, max_num_batched_tokens: 20 },
    { num_gpu_blocks: 24, preemption_mode: "fifo", aic_nextn: 2 },
    { num_gpu_blocks: 40, backend: "trtllm" },
    { num_gpu_blocks: 40, backend: "sglang", sglang: { chunked_prefill_size: 16, clip_max_new_tokens: 2 } },
  ]
) {
  test(`${REQUESTS} requests cancelled in every phase leave nothing behind: ${JSON.stringify(engine)}`, () => {
    const rank = createRank(engine);
    const mirror = new Mirror();
    const alive: EngineRequest[] = [];
    const phases = new Set<string>();
    const random = dice(5);
    let submitted = 0;
    let cancelled = 0;
    for (let now = 0; submitted < REQUESTS || alive.length > 0; now++) {
      for (let i = random(4); i > 0 && submitted < REQUESTS; i--) {
        const prompt = Array.from({ length: 1 + random(5) }, (_, place) => place < 2 ? random(3) : random(1000));
        const made = spec(submitted++, prompt, 1 + random(20));
        const role = random(4);
        if (role === 0) alive.push(rank.submitSource(made));
        else if (role === 1) alive.push(rank.reserveDestination(made, true));
        else alive.push(rank.submit(made));
      }
      for (const { kind, request } of rank.takeHandoffs()) {
        if (kind === "destination_reserved" && random(2) === 0) rank.activateDestination(request);
      }
      if (rank.isReady) {
        rank.pass(now, ALONE);
        rank.finishGroup(false, false);
      }
      if (alive.length > 0 && random(2) === 0) {
        const [gone] = alive.splice(random(alive.length), 1);
        phases.add(gone!.status);
        if (rank.cancel(gone!, false)) cancelled++;
      }
      rank.settle(now);
      mirror.apply(rank.takeKvEvents());
      for (let i = alive.length - 1; i >= 0; i--) if (alive[i]!.status === "done") alive.splice(i, 1);
    }
    const { activeBlocks, inactiveBlocks, totalBlocks, running, waiting } = rank.gauges;
    assert.deepEqual([running, waiting, rank.isDrained], [0, 0, true]);
    assert.equal(engine.backend === "sglang" ? activeBlocks - mirror.resident.size : activeBlocks, 0);
    // The same content may be there twice, but nothing is told that is not there.
    assert.ok(mirror.resident.size <= activeBlocks + inactiveBlocks);

    const before = new Set(mirror.resident);
    rank.submit(spec(submitted, Array.from({ length: totalBlocks - 1 }, (_, place) => 5000 + place), 1));
    for (let now = 0; rank.isReady; now++) {
      rank.pass(now, ALONE);
      rank.finishGroup(false, false);
    }
    mirror.apply(rank.takeKvEvents());
    assert.ok(before.intersection(mirror.resident).size <= 1);
    assert.ok(cancelled > 100 && ["waiting", "running", "held", "reserved"].every((phase) => phases.has(phase)));
  });
}
