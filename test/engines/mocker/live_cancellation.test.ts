import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvItem } from "@stator/worker";
import { dice } from "../../support/mock_requests.ts";
import { promptOf, startMockerRig } from "../../support/mocker_rig.ts";

const REQUESTS = 1000;

for (const flags of [[], ["--engine-type", "sglang", "--block-size", "4"], ["--data-parallel-size", "2"]]) {
  test(`${REQUESTS} requests given up in every phase leave nothing behind: ${flags.join(" ")}`, async () => {
    const small = ["--block-size", "4", "--num-gpu-blocks-override", "64", "--max-num-seqs", "16"];
    const rig = await startMockerRig(...small, ...flags);
    const random = dice(7);
    const { clock } = rig.context();
    const ends: unknown[] = [];
    const streams = Array.from({ length: REQUESTS }, async (_, number) => {
      const startAt = 20 * number + random(50);
      const cancelAfter = random(4) === 0 ? 100_000 : random(400);
      const prompt = [...promptOf(random(3), 8), ...promptOf(number, random(20))];
      const maxTokens = 1 + random(40);
      await clock.sleepUntil(startAt);
      const control = new AbortController();
      const chunks = rig.ask(
        prompt,
        { stop_conditions: { max_tokens: maxTokens } },
        rig.context({ signal: control.signal }),
      );
      clock.sleepUntil(startAt + cancelAfter, control.signal).then(() => control.abort());
      const last = (await chunks).at(-1)?.chunk.finish_reason;
      control.abort();
      ends.push(last);
    });
    await Promise.all(streams);
    assert.equal(ends.length, REQUESTS);
    assert.ok(ends.filter((one) => one === "cancelled").length > 100, "many were given up");
    assert.ok(ends.filter((one) => one === "length").length > 100, "many were answered");
    assert.ok(ends.every((one) => one === "cancelled" || one === "length"), "and nothing else");
    assert.equal(await rig.engine.isQuiescent?.(), true);
    const text = await rig.engine.metricsSources?.()[0]?.expfmt?.() ?? "";
    assert.match(text, /:num_(?:requests_running|running_reqs)\{[^}]*\} 0$/m);
    assert.match(text, /:num_(?:requests_waiting|queue_reqs)\{[^}]*\} 0$/m);
    const resident = residents(rig.told.flatMap((one) => one.kind === "events" ? [one] : []));
    const loads = new Map(rig.told.flatMap((one) => one.kind === "load" ? [[one.rank, one.used] as const] : []));
    for (const [rank, used] of loads) {
      // SGLang counts cached pages as used.
      assert.equal(used, flags.includes("sglang") ? resident.get(rank)!.size : 0);
      assert.ok(resident.get(rank)!.size <= 64);
    }
    await rig.engine.cleanup();
  });
}

/** What routers believe to be cached; a block is not removed twice, nor before it was stored. */
function residents(
  batches: readonly { readonly rank: number; readonly items: readonly KvItem[] }[],
): Map<number, Set<bigint>> {
  const ranks = new Map<number, Set<bigint>>();
  for (const { rank, items } of batches) {
    const resident = ranks.get(rank) ?? new Set();
    ranks.set(rank, resident);
    for (const item of items) {
      assert.ok(item.type !== "cleared");
      for (const hash of item.blockHashes ?? []) {
        if (item.type === "stored") resident.add(hash);
        else assert.ok(resident.delete(hash));
      }
    }
  }
  return ranks;
}
