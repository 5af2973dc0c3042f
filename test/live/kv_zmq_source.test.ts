/**
 * Dynamo's own frontend in KV mode sends prompts where an engine says they are, which says so on a socket of libzmq.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";
import { openDealer } from "../../src/zmtp/mod.ts";
import { COMPLETIONS, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";
import { startZmq } from "../support/zmq_peer.ts";

const BLOCK_SIZE = 16;
const BLOCKS = 8;

/** A prompt of whole blocks that no other seed shares a block with. */
function prompt(seed: number): number[] {
  return Array.from({ length: BLOCK_SIZE * BLOCKS }, (_, i) => 1 + (seed * 7919 + i * 31 + seed * i) % 250);
}

/** The engine's names of a prompt's blocks. */
function names(seed: number): number[] {
  return Array.from({ length: BLOCKS }, (_, i) => 1000 * seed + i);
}

/** vLLM's event for a stored prompt, in both of its forms. */
function stored(seed: number, form: "map" | "array"): unknown {
  const [block_hashes, token_ids] = [names(seed), prompt(seed)];
  return form === "array" ? ["BlockStored", block_hashes, null, token_ids, BLOCK_SIZE, null, "GPU"] : {
    ...{ type: "BlockStored", block_hashes, parent_block_hash: null, token_ids, block_size: BLOCK_SIZE },
    ...{ lora_id: null, medium: "GPU" },
  };
}

const removed = (seed: number) => ["BlockRemoved", names(seed), "GPU"];

/** An engine's sockets, and the way to tell it what to say. */
async function startEngine() {
  const child = startZmq("engine", "tcp://127.0.0.1:*");
  const endpoint = async (name: string) => (await child.waitFor(new RegExp(`^${name} (\\S+)`, "m"), 10_000))[1]!;
  const [pub, replay, control] = [await endpoint("pub"), await endpoint("replay"), await endpoint("control")];
  const ready = Promise.withResolvers<void>();
  const dealer = openDealer({ ...realPlatform, endpoint: control, onReady: () => ready.resolve(), onMessage() {} });
  await ready.promise;
  let orders = 0;
  return {
    ...{ child, pub, replay },
    async tell(order: "publish" | "keep" | "restart", ...events: unknown[]) {
      orders++;
      dealer.send([new TextEncoder().encode(order), encodeMsgpack([1.5, events, 0])]);
      await until(order, 5000, () => child.output().match(/^did /gm)?.length === orders);
    },
    async [Symbol.asyncDispose]() {
      await dealer[Symbol.asyncDispose]();
      await child[Symbol.asyncDispose]();
    },
  };
}

async function startWorker(store: Store, pub: string, replay: string) {
  const port = await freePort();
  const worker = await startReadyStator(store, {
    program: "test/support/zmq_engine.ts",
    env: {
      ...{ ZMQ_ENGINE_MODEL: TINY_MODEL, ZMQ_ENGINE_PUB: pub, ZMQ_ENGINE_REPLAY: replay },
      ...{ DYN_EVENT_PLANE_HOST: "127.0.0.1", DYN_SYSTEM_PORT: String(port), DYN_LOG: "debug" },
    },
  });
  await worker.waitFor(/Connected to the engine's KV events/, 10_000);
  const metrics = async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const id = /worker_id="(\w+)"/.exec(await metrics())![1]!;
  // The frontend's answers are read as plain JSON, which rounds.
  return Object.assign(worker, { id: String(Number(BigInt(`0x${id}`))), metrics });
}

async function ask(frontend: Frontend, seed: number): Promise<{ worker: string; hitRate: number }> {
  const { status, body } = await frontend.post(COMPLETIONS, {
    ...{ model: TINY_MODEL, prompt: prompt(seed), max_tokens: 1 },
    nvext: { extra_fields: ["worker_id", "timing"] },
  });
  assert.equal(status, 200, JSON.stringify(body));
  return { worker: String(body.nvext.worker_id.decode_worker_id), hitRate: body.nvext.timing.kv_hit_rate };
}

/** Waits until the router finds a prompt at that worker, whole, and checks that it goes on to. */
async function found(frontend: Frontend, seed: number, worker: string, rounds = 6): Promise<void> {
  await until(`prompt ${seed} at ${worker}`, 10_000, async () => (await ask(frontend, seed)).hitRate === 1);
  for (let i = 0; i < rounds; i++) assert.deepEqual(await ask(frontend, seed), { worker, hitRate: 1 });
}

async function lost(frontend: Frontend, seed: number): Promise<void> {
  await until(`prompt ${seed} nowhere`, 10_000, async () => (await ask(frontend, seed)).hitRate === 0);
}

test("prompts go where an engine's own socket says they are", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-zmq");
  await using frontend = await startFrontend(store, {}, ["--router-mode", "kv"]);
  await using one = await startEngine();
  await using two = await startEngine();
  await one.tell("keep", stored(1, "array")); // stored before there was a worker
  await using workerOne = await startWorker(store, one.pub, one.replay);
  await using workerTwo = await startWorker(store, two.pub, two.replay);
  await frontend.listed(TINY_MODEL);
  await until("two workers", 10_000, () => store.keys("v1/instances/dynamo/backend/generate/").length === 2);

  await found(frontend, 1, workerOne.id);
  await two.tell("publish", stored(2, "map"));
  await found(frontend, 2, workerTwo.id);
  await one.tell("publish", stored(3, "map"), stored(4, "array"));
  await found(frontend, 3, workerOne.id);
  await found(frontend, 4, workerOne.id);
  await lost(frontend, 9);

  await one.tell("publish", removed(3));
  await two.tell("publish", stored(3, "array"));
  await found(frontend, 3, workerTwo.id);

  await two.tell("keep", stored(5, "map"), removed(2));
  await two.tell("publish", stored(6, "array"));
  await found(frontend, 6, workerTwo.id);
  await found(frontend, 5, workerTwo.id);
  await lost(frontend, 2);
  assert.deepEqual([...two.child.output().matchAll(/^asked (\d+)/gm)].map(([, from]) => from), ["0", "2"]);

  await one.tell("restart", stored(7, "map"));
  await found(frontend, 7, workerOne.id);
  await lost(frontend, 1);
  await lost(frontend, 4);
  await found(frontend, 6, workerTwo.id, 1);

  const text = await workerTwo.metrics();
  assert.match(text, /kv_publisher_engines_dropped_events_total\{[^}]*\} 0\n/);
  assert.match(text, /kv_publisher_zmq_events_total\{[^}]*event_type="stored",stage="accepted"[^}]*\} 4\n/);
  await workerOne.waitFor(/The first KV event has come back/, 10_000);
  assert.deepEqual(frontend.complaints(), []);
  const warnings = (worker: { output(): string }) => worker.output().split("\n").filter((line) => / WARN /.test(line));
  assert.deepEqual(warnings(workerTwo), []);
  assert.equal(warnings(workerOne).length, 1);
  assert.match(warnings(workerOne)[0]!, /The engine began anew/);
});
