/**
 * Workers and Dynamo's frontend that find each other through a cluster.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { startCluster } from "../support/kube_cluster.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

test("a frontend finds workers through the cluster, while their pods are ready", { timeout: 180_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kubernetes");
  await using cluster = await startCluster(store);
  console.log(`API server: ${cluster.name}`);
  const pods = {
    frontend: await cluster.pod("frontend-0"),
    ours: await cluster.pod("ours-0"),
    theirs: await cluster.pod("theirs-0"),
  };
  await using frontend = await startFrontend(store, pods.frontend.env);
  await using worker = await startReadyStator(store, {
    args: ["--delay", "0"],
    env: { ...pods.ours.env, DYN_SYSTEM_PORT: "0" },
  });
  assert.deepEqual(await frontend.models(), [], "its pod is not ready");
  await pods.ours.setReady(true);
  await frontend.listed(TINY_MODEL);
  const ask = () => frontend.post(CHAT, chat(TINY_MODEL, "hello", { max_tokens: 8 }));
  const { status, body } = await ask();
  assert.deepEqual([status, body.choices[0].finish_reason], [200, "length"]);

  await t.test("the system server shows what is published", async () => {
    const [, address] = await worker.waitFor(/System server listening address=(\S+)/, 1000);
    const response = await fetch(`http://${address}/metadata`);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.deepEqual(
      Object.keys((await response.json()).model_cards),
      Object.keys((await cluster.records("ours-0")).model_cards),
    );
  });

  await t.test("the records are those of Dynamo's own worker, but for their addresses and flags", async () => {
    await using child = startPythonWorker(store, {
      model: TINY_MODEL,
      args: ["--delay", "0", "--discovery-backend", "kubernetes"],
      env: pods.theirs.env,
    });
    await until("its records", 60_000, async () => {
      if (await Promise.race([child.exited, undefined])) throw new Error(child.output());
      // The last of its records.
      return Object.keys((await cluster.records("theirs-0"))?.event_sources ?? {}).length > 0;
    });
    const [ours, theirs] = [await cluster.records("ours-0"), await cluster.records("theirs-0")];
    for (const map of ["endpoints", "model_cards", "event_channels", "event_sources"]) {
      assert.deepEqual(shapes(ours[map]), shapes(theirs[map]), map);
    }
    await pods.theirs.setReady(true);
    const answers = await Promise.all(Array.from({ length: 20 }, ask));
    assert.deepEqual(answers.map((answer) => answer.status), Array(20).fill(200));
  });
  await pods.theirs.setReady(false);

  await t.test("a worker that ends leaves nothing", async () => {
    worker.signal("SIGTERM");
    assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
    // An API server may keep null of a map whose last entry went.
    const left = Object.values(await cluster.records("ours-0")).flatMap((map) => Object.keys(map ?? {}));
    assert.deepEqual(left, []);
    await until("the frontend to forget it", 20_000, async () => (await frontend.models()).length === 0);
  });
});

/** What the records of a map look like: where they stand, without ids, and their fields. */
// deno-lint-ignore no-explicit-any -- records are compared, not used
function shapes(records: Record<string, any>): string[] {
  return Object.entries(records).map(([path, record]) =>
    `${path.replace(/[0-9a-f]{9,16}/g, "<id>")} ${Object.keys(record).sort().join(",")}`
  ).sort();
}
