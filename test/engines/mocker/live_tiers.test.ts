import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvItem } from "@stator/worker";
import { parseWorkerArgs } from "@stator/worker";
import { module } from "@stator/worker/engines/mocker";
import { dice } from "../../support/mock_requests.ts";
import { type MockerRig, promptOf, startMockerRig, type TimedChunk } from "../../support/mocker_rig.ts";

const SMALL = ["--block-size", "4", "--kv-bytes-per-token", "250000", "--num-host-blocks"];
const max = (count: number) => ({ stop_conditions: { max_tokens: count } });
const cached = (chunks: readonly TimedChunk[]) =>
  chunks[0]?.chunk.completion_usage?.prompt_tokens_details?.cached_tokens;

test("a prompt comes back from the host, also when nothing else is to be done, and counts as cached", async () => {
  // One block is 1 MB, which takes 10 ms at 0.1 GB/s.
  const flags = [...SMALL, "64", "--num-gpu-blocks-override", "8", "--host-offload-h2d-bandwidth-gbps", "0.1"];
  const rig = await startMockerRig(...flags);
  await rig.ask(promptOf(1, 16), max(1));
  await rig.ask(promptOf(2, 32), max(1));
  const begin = rig.now();
  const chunks = await rig.ask(promptOf(1, 16), max(1));
  assert.equal(cached(chunks), 12);
  // Four blocks from the host, then one pass: its four tokens take 16.56 ms, rounded up to the turn of the clock.
  assert.ok(chunks[0]!.at - begin >= 40 + 16.5, `${chunks[0]!.at - begin} ms`);
  assert.ok(chunks[0]!.at - begin <= 40 + 18.5, `${chunks[0]!.at - begin} ms`);
  await rig.engine.cleanup();
});

test("routers hear what lies on the host, and what is gone from it", async () => {
  const rig = await startMockerRig(...SMALL, "3", "--num-gpu-blocks-override", "8");
  await rig.ask(promptOf(1, 12), max(1));
  await settled(rig);
  const [stored] = hostItems(rig);
  assert.ok(stored?.type === "stored");
  assert.deepEqual([stored.blockHashes?.length, stored.parentHash, stored.tokenIds?.length], [3, null, 12]);
  assert.equal(stored.startPosition, 0);
  await rig.ask(promptOf(2, 8), max(1));
  await settled(rig);
  const [, removed, next] = hostItems(rig);
  assert.deepEqual([removed?.type, next?.type], ["removed", "stored"]);
  assert.equal(removed?.type === "removed" && removed.blockHashes.length, 2);
  await rig.engine.cleanup();
});

for (const flags of [[], ["--data-parallel-size", "2"]]) {
  test(`requests given up while their blocks are copied leave nothing behind: ${flags.join(" ")}`, async () => {
    const slow = ["--host-offload-h2d-bandwidth-gbps", "0.1", "--host-offload-d2h-bandwidth-gbps", "0.1"];
    const small = [...SMALL, "40", "--num-gpu-blocks-override", "48", "--max-num-seqs", "8", ...slow, ...flags];
    const rig = await startMockerRig(...small);
    const random = dice(11);
    const { clock } = rig.context();
    const ends = await Promise.all(Array.from({ length: 400 }, async (_, number) => {
      const startAt = 40 * number + random(50);
      const cancelAfter = random(3) === 0 ? 1_000_000 : random(300);
      const prompt = [...promptOf(random(6), 4 * (2 + random(6))), ...promptOf(100 + number, random(20))];
      const maxTokens = 1 + random(20);
      await clock.sleepUntil(startAt);
      const control = new AbortController();
      const chunks = rig.ask(prompt, max(maxTokens), rig.context({ signal: control.signal }));
      clock.sleepUntil(startAt + cancelAfter, control.signal).then(() => control.abort());
      const last = (await chunks).at(-1)?.chunk.finish_reason;
      control.abort();
      return last;
    }));
    assert.deepEqual([...new Set(ends)].sort(), ["cancelled", "length"]);
    assert.equal(await rig.engine.isQuiescent?.(), true);
    await settled(rig);
    const text = await rig.engine.metricsSources?.()[0]?.expfmt?.() ?? "";
    assert.match(text, /:num_requests_waiting\{[^}]*\} 0$/m);
    const loads = new Map(rig.told.flatMap((one) => one.kind === "load" ? [[one.rank, one.used] as const] : []));
    assert.deepEqual([...loads.values()], [...loads.values()].map(() => 0));
    const resident = new Map<string, Set<bigint>>();
    for (const one of rig.told) {
      if (one.kind === "events") { for (const item of one.items) note(resident, one.rank, item); }
    }
    for (const [where, blocks] of resident) assert.ok(blocks.size <= (where.startsWith("host") ? 40 : 48), where);
    assert.ok([...resident.keys()].some((where) => where.startsWith("host")), "blocks were copied");
    await rig.engine.cleanup();
  });
}

test("cleanup does not wait for copies", async () => {
  const rig = await startMockerRig(...SMALL, "64", "--host-offload-d2h-bandwidth-gbps", "0.000001");
  await rig.ask(promptOf(1, 16), max(1));
  const begin = rig.now();
  await rig.engine.cleanup();
  assert.equal(rig.now(), begin);
});

test("flags of the host tier that cannot be used are bad usage", async () => {
  const refused = (...flags: string[]) => parseWorkerArgs(flags, module);
  await assert.rejects(refused("--host-offload-d2h-bandwidth-gbps", "1"), /require --num-host-blocks/);
  await assert.rejects(refused("--num-host-blocks", "4"), /--num-host-blocks: the model's config.json has no sizes/);
  const bytes = ["--num-host-blocks", "4", "--kv-bytes-per-token", "1"];
  await assert.rejects(refused(...bytes, "--engine-type", "sglang"), /supported only for backend=vllm/);
  await assert.rejects(refused(...bytes, "--no-enable-prefix-caching"), /requires enable_prefix_caching=true/);
  const disk = {
    engine: {
      kv_cache_bytes_per_token: 1,
      native_host_offload: { num_host_blocks: 4 },
      g3_offload: { scope: "worker_local", num_g3_blocks: 4 },
    },
  };
  await assert.rejects(refused("--extra-engine-args", JSON.stringify(disk)), /g3_offload is for replays only/);
});

/** Lets copies end that are under way. */
async function settled(rig: MockerRig): Promise<void> {
  await rig.context().clock.sleepUntil(rig.now() + 100_000);
}

function hostItems(rig: MockerRig): KvItem[] {
  const items = rig.told.flatMap((one) => one.kind === "events" ? one.items : []);
  return items.filter((item) => item.type !== "cleared" && item.tier === "host_pinned");
}

/** A block is not removed twice, nor before it was stored. */
function note(resident: Map<string, Set<bigint>>, rank: number, item: KvItem): void {
  assert.ok(item.type !== "cleared");
  const where = `${item.tier === "host_pinned" ? "host" : "device"} ${rank}`;
  const blocks = resident.get(where) ?? new Set<bigint>();
  resident.set(where, blocks);
  for (const hash of item.blockHashes ?? []) {
    if (item.type === "removed") assert.ok(blocks.delete(hash), where);
    else blocks.add(hash);
  }
}
