/**
 * Prefix affinity: Dynamo's own frontend in KV mode sends a prompt where its prefix is, over every event plane.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  affinity,
  BLOCK,
  BLOCKS,
  type Env,
  type PlaneProcess,
  report,
  ROUNDS,
  served,
  startBroker,
  startEngine,
  startKvFrontend,
  startListedBroker,
  startNats,
} from "../support/kv_fleet.ts";
import { requirePeers } from "../support/peers.ts";
import { makeStore, type Store } from "../support/store.ts";

const LIMIT = { timeout: 180_000 };

/** A plane that needs nobody. */
function alone(): Promise<PlaneProcess> {
  return Promise.resolve({ env: {}, [Symbol.asyncDispose]: () => Promise.resolve() });
}

const PLANES: readonly (readonly [string, (store: Store) => Promise<PlaneProcess>])[] = [
  ["ZMQ sockets", alone],
  ["a ZMQ broker", startBroker],
  ["a ZMQ broker found in discovery", startListedBroker],
  ["NATS", startNats],
];

async function runFleet(store: Store, env: Env, engineEnv: Env = {}) {
  await using frontend = await startKvFrontend(store, env);
  await using _one = await startEngine(store, { ...env, ...engineEnv });
  await using _two = await startEngine(store, { ...env, ...engineEnv });
  await served(store, frontend, 2);
  const found = await affinity(frontend);
  return { ...found, complaints: frontend.complaints() };
}

for (const [name, startPlane] of PLANES) {
  test(`a prompt goes where its prefix is, over ${name}`, LIMIT, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("kv");
    await using plane = await startPlane(store);
    const { complaints, ...found } = await runFleet(store, plane.env);
    report(name, found);
    assert.ok(found.same >= 0.99 * ROUNDS, `${found.same}`);
    assert.ok(found.hitRate > 0.95, `${found.hitRate}`);
    assert.ok(found.cached > 0.95 * BLOCK * BLOCKS, `${found.cached}`);
    assert.deepEqual(complaints, []);
  });
}

test("without events it does not", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv");
  const { same, hitRate, ...rest } = await runFleet(store, {}, { PREFIX_CACHE_EVENTS: "off" });
  report("no events", { same, hitRate, ...rest });
  assert.equal(hitRate, 0);
  assert.ok(same < 0.8 * ROUNDS, `${same}`);
});
