/**
 * A router that missed events asks the worker for them, and knows its blocks again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ask,
  askAgain,
  prompt,
  PROMPTS,
  report,
  requestsOver,
  ROUNDS,
  served,
  startEngine,
  startKvFrontend,
  startNats,
  startNatsOn,
  type Told,
} from "../support/kv_fleet.ts";
import { requirePeers } from "../support/peers.ts";
import { type Child, until } from "../support/processes.ts";
import { makeStore } from "../support/store.ts";
import { openZmqProxy } from "../support/zmq_proxy.ts";

const LIMIT = { timeout: 180_000 };

/** What a worker told of the questions it got. */
function questions(worker: Child): string[] {
  return [...worker.output().matchAll(/A router recovers KV events.*?start=(\S+) reply=(\w+)/g)].map(
    ([, start, reply]) => `${start} ${reply}`,
  );
}

for (const plane of ["TCP", "NATS"]) {
  test(`a router that starts later knows what was stored before, and asks over ${plane}`, LIMIT, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("kv-restart");
    await using nats = plane === "NATS" ? await startNats() : null;
    const env = nats === null ? {} : requestsOver(nats);
    const first = await startKvFrontend(store, env);
    await using one = await startEngine(store, env);
    await using two = await startEngine(store, env);
    await served(store, first, 2);
    const homes: Told[] = [];
    for (let seed = 0; seed < PROMPTS; seed++) homes.push(await ask(first, prompt(seed)));
    await first[Symbol.asyncDispose]();
    const [ofOne, ofTwo] = [questions(one).length, questions(two).length];
    await using second = await startKvFrontend(store, env);
    await served(store, second, 2);
    const areAsked = () => questions(one).length > ofOne && questions(two).length > ofTwo;
    await until("both to be asked", 20_000, areAsked);
    // It does not tell when it has read the answers, and a question before that is one that it cannot know.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const found = await askAgain(second, homes);
    report(`router restarted, over ${plane}`, found);
    console.log(`asked: ${questions(one).join(", ")}; ${questions(two).join(", ")}`);
    assert.ok(found.same >= 0.99 * ROUNDS, `${found.same}`);
    assert.ok(found.hitRate > 0.99, `${found.hitRate}`);
    assert.deepEqual(second.complaints(), []);
  });
}

test("an event that was lost on its way is asked for", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-lost");
  let isLosing = false;
  const isKv = ([subject]: readonly Uint8Array[]) => new TextDecoder().decode(subject).endsWith(".kv-events");
  await using broker = await openZmqProxy((parts) => isLosing && isKv(parts));
  const env = { DYN_ZMQ_BROKER_URL: `xsub=${broker.xsub},xpub=${broker.xpub}` };
  await using frontend = await startKvFrontend(store, env);
  await using worker = await startEngine(store, env);
  await served(store, frontend, 1);
  await until("the first question", 20_000, () => questions(worker).length >= 1);
  // A router subscribes at its own pace.
  let known = 10;
  await until("the router to hear events", 20_000, async () => {
    await ask(frontend, prompt(++known));
    return (await ask(frontend, prompt(known))).hitRate === 1;
  });
  const asked = questions(worker).length;
  isLosing = true;
  await ask(frontend, prompt(1));
  const lost = await ask(frontend, prompt(1));
  assert.deepEqual([lost.hitRate, lost.cached], [0, 128], "the worker has the blocks, the router does not know");
  isLosing = false;
  await ask(frontend, prompt(2));
  await until("another question", 20_000, () => questions(worker).length > asked);
  const rates = await until("the recovered blocks", 20_000, async () => {
    const told = [];
    for (const seed of [known, 1, 2]) told.push((await ask(frontend, prompt(seed))).hitRate);
    return told.every((rate) => rate === 1) && told;
  });
  console.log(`hit rates ${rates.join(", ")}; asked: ${questions(worker).join(", ")}`);
  assert.match(questions(worker)[asked]!, /^\d+ Events$/, "not the whole tree");
});

test("events of the time without a NATS server are there when it is back", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-nats");
  await using nats = await startNats();
  await using frontend = await startKvFrontend(store, nats.env);
  await using worker = await startEngine(store, nats.env);
  await served(store, frontend, 1);
  await ask(frontend, prompt(0));
  await until("the first event", 20_000, async () => (await ask(frontend, prompt(0))).hitRate === 1);
  await nats[Symbol.asyncDispose]();
  await worker.waitFor(/Lost the connection to NATS/, 20_000);
  for (const seed of [1, 2]) await ask(frontend, prompt(seed));
  await using _again = startNatsOn(nats.port);
  await worker.waitFor(/Connected to NATS again/, 20_000);
  const rates = await until("the events that waited", 20_000, async () => {
    const told = [];
    for (const seed of [0, 1, 2]) told.push((await ask(frontend, prompt(seed))).hitRate);
    return told.every((rate) => rate === 1) && told;
  });
  console.log(`hit rates ${rates.join(", ")}; asked: ${questions(worker).join(", ")}`);
});
