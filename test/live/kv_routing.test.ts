/**
 * Prefix affinity: Dynamo's own frontend in KV mode sends a prompt where its prefix is.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { COMPLETIONS, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

const ROUNDS = 100;
const PROMPTS = 10;
const BLOCKS = 8;
const KV = ["--router-mode", "kv"];

/** A prompt of whole blocks that no other seed shares a block with. */
function prompt(seed: number): number[] {
  return Array.from({ length: 16 * BLOCKS }, (_, i) => 1 + (seed * 7919 + i * 31 + seed * i) % 250);
}

interface Told {
  readonly worker: string;
  readonly rank: number;
  readonly hitRate: number;
  readonly cached: number;
}

async function ask(frontend: Frontend, tokens: readonly number[]): Promise<Told> {
  const { status, body } = await frontend.post(COMPLETIONS, {
    model: TINY_MODEL,
    prompt: tokens,
    max_tokens: 1,
    nvext: { extra_fields: ["worker_id", "timing"] },
  });
  assert.equal(status, 200, JSON.stringify(body));
  const { worker_id, timing } = body.nvext;
  return {
    worker: String(worker_id.decode_worker_id),
    rank: worker_id.decode_dp_rank,
    hitRate: timing.kv_hit_rate,
    cached: body.usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** Asks each prompt once, then all again; how often the second went where the first had been, and the mean hit rate. */
async function affinity(frontend: Frontend): Promise<{ same: number; hitRate: number; cached: number }> {
  const homes = new Map<number, Told>();
  for (let seed = 0; seed < PROMPTS; seed++) homes.set(seed, await ask(frontend, prompt(seed)));
  let [same, hitRate, cached] = [0, 0, 0];
  for (let i = 0; i < ROUNDS; i++) {
    const told = await ask(frontend, prompt(i % PROMPTS));
    const home = homes.get(i % PROMPTS)!;
    if (told.worker === home.worker && told.rank === home.rank) same++;
    hitRate += told.hitRate / ROUNDS;
    cached += told.cached;
  }
  return { same, hitRate, cached };
}

function startEngine(store: Store, env: Readonly<Record<string, string>> = {}) {
  return startReadyStator(store, {
    program: "test/support/prefix_cache_engine.ts",
    env: { PREFIX_CACHE_MODEL: TINY_MODEL, DYN_EVENT_PLANE_HOST: "127.0.0.1", ...env },
  });
}

test("a prompt goes where its prefix is", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv");
  await using frontend = await startFrontend(store, {}, KV);
  await using _one = await startEngine(store);
  await using _two = await startEngine(store);
  await frontend.listed(TINY_MODEL);
  await until("two workers", 10_000, () => store.keys("v1/instances/dynamo/backend/generate/").length === 2);
  const { same, hitRate, cached } = await affinity(frontend);
  console.log(`${same} of ${ROUNDS} to the same worker, mean hit rate ${hitRate.toFixed(2)}, ${cached} tokens cached`);
  assert.ok(same >= 0.99 * ROUNDS, `${same}`);
  assert.ok(hitRate > 0.95, `${hitRate}`);
  assert.deepEqual(frontend.complaints(), []);
});
