/**
 * KV routing beyond two equal workers: beside Dynamo's mocker, with data-parallel ranks, under load, and what is on the
 * wire for each request.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { decodeZmqFrames } from "../../src/protocol/event.ts";
import { decodeEventChannel } from "../../src/protocol/event_record.ts";
import { decodeActiveSequences } from "../../src/protocol/load_event.ts";
import {
  affinity,
  ask,
  BLOCK,
  BLOCKS,
  prompt,
  report,
  ROUNDS,
  served,
  startEngine,
  startKvFrontend,
} from "../support/kv_fleet.ts";
import { PYTHON, requirePeers, TINY_MODEL } from "../support/peers.ts";
import { type Child, start, until } from "../support/processes.ts";
import { makeStore, type Store } from "../support/store.ts";
import { startZmq } from "../support/zmq_peer.ts";
import { unhex } from "../support/zmtp_peer.ts";

const LIMIT = { timeout: 180_000 };

/** Dynamo's mocker, registered with the card of the prefix cache engine. */
async function startMocker(store: Store): Promise<Child> {
  const mocker = start({
    name: "dynamo mocker",
    executable: PYTHON,
    args: [
      ...["-m", "dynamo.mocker", "--model-path", TINY_MODEL, "--model-name", TINY_MODEL, "--block-size", String(BLOCK)],
      ...["--endpoint", "dyn://dynamo.backend.generate", "--max-model-len", "4096", "--discovery-backend", "file"],
      ...["--num-gpu-blocks-override", "1000", "--speedup-ratio", "100"],
    ],
    env: { ...store.env, DYN_LOG: "info", DYN_EVENT_PLANE_HOST: "127.0.0.1", HOME: join(store.path, "mocker-home") },
    cwd: store.path,
  });
  const isCard = ({ key }: { readonly key: string }) => key.startsWith("v1/mdc/");
  const card = await until("the mocker's card", 60_000, () => store.records().find(isCard));
  // Unlike workers on the unified backend it does not say where its model is from, which workers of a set have to agree on.
  store.rewrite(card.key, card.text.replace(/("slug":"[^"]*",)/, `$1"source_path":${JSON.stringify(TINY_MODEL)},`));
  return mocker;
}

test("a Stator worker and Dynamo's mocker each get their own prefixes back", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-mixed");
  await using _mocker = await startMocker(store);
  await using frontend = await startKvFrontend(store);
  await using _stator = await startEngine(store);
  await served(store, frontend, 2);
  // The mocker registers before it publishes, and a router knows nothing of a cache before it has both records.
  await until("both sources of events", 20_000, () => store.keys("v1/event_sources/").length === 2);
  const { homes, ...found } = await affinity(frontend);
  report("stator and mocker", found);
  const workers = Map.groupBy(homes, ({ worker }) => worker);
  console.log(`prompts by worker: ${[...workers.values()].map((each) => each.length).join(", ")}`);
  assert.deepEqual(frontend.complaints(), []);
  assert.equal(workers.size, 2);
  assert.ok(found.same >= 0.99 * ROUNDS, found.strays.join("\n"));
  assert.ok(found.hitRate > 0.9, `${found.hitRate}`);
  assert.deepEqual(frontend.complaints(), []);
});

test("of two ranks the one with the prefix is chosen, and the worker is told", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-ranks");
  await using frontend = await startKvFrontend(store);
  await using _worker = await startEngine(store, { PREFIX_CACHE_RANKS: "2" });
  await served(store, frontend, 1);
  const { homes, ...found } = await affinity(frontend);
  report("two ranks", found);
  assert.deepEqual([...new Set(homes.map(({ rank }) => rank))].sort(), [0, 1]);
  for (const { rank, text } of homes) assert.equal(text, "ab"[rank], "the rank in the request is the router's");
  assert.ok(found.same >= 0.99 * ROUNDS, `${found.same}`);
  // The engine keeps a cache per rank: a hit on another rank's would not be one.
  assert.ok(found.cached > 0.95 * BLOCK * BLOCKS, `${found.cached}`);
  assert.equal(store.keys("v1/event_sources/").length, 2);
  assert.deepEqual(frontend.complaints(), []);
});

test("a worker whose cache is full is avoided, and refuses when there is no other", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-load");
  await using frontend = await startKvFrontend(store, {}, ["--active-decode-blocks-threshold", "0.5"]);
  await using _full = await startEngine(store, { PREFIX_CACHE_USED: "900" });
  await served(store, frontend, 1);
  const busy = await until("529", 20_000, async () => {
    const { status, body } = await frontend.post("/v1/completions", {
      model: TINY_MODEL,
      prompt: prompt(0),
      max_tokens: 1,
    });
    return status === 529 && body;
  });
  console.log(`alone and full: 529 ${JSON.stringify(busy)}`);
  await using _free = await startEngine(store, { PREFIX_CACHE_USED: "0" });
  await served(store, frontend, 2);
  const { homes } = await until("the other worker", 20_000, () => affinity(frontend));
  const workers = new Set(homes.map(({ worker }) => worker));
  console.log(`${homes.length} prompts to ${workers.size} of 2 workers`);
  assert.equal(workers.size, 1);
});

test("a router hears when a request has its first token", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-tokens");
  await using frontend = await startKvFrontend(store);
  await using _worker = await startEngine(store);
  await served(store, frontend, 1);
  const channel = store.records().find(({ key }) => /event_channels.*active_sequences_events/.test(key))!;
  const { transport } = decodeEventChannel(channel.text);
  assert.ok(transport.kind === "Zmq");
  await using sub = startZmq("sub", transport.config.endpoint, { topic: "active_sequences_events" });
  let asked = 0;
  await until("an event", 30_000, async () => {
    await ask(frontend, prompt(asked++));
    return sub.stdout().includes("got");
  });
  const [line] = sub.stdout().split("\n").filter((each) => each.startsWith("got"));
  const { envelope } = decodeZmqFrames(line!.split(" ").slice(1).map(unhex));
  const [event] = decodeActiveSequences(envelope.payload);
  console.log(`after ${asked} requests: ${envelope.topic} ${event!.data} rank ${event!.worker.dp_rank}`);
  assert.deepEqual([event!.data, event!.worker.dp_rank, event!.lora_name], ["MarkPrefillCompleted", 0, null]);
  assert.equal(event!.router_id, event!.worker.worker_id);
});
