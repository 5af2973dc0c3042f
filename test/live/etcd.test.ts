/**
 * Discovery on a real etcd, beside Dynamo's own frontend and worker.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type EtcdStore, makeEtcdStore } from "../support/etcd.ts";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { startRustWorker } from "../support/rust_worker.ts";
import { startReadyStator, startStator } from "../support/stator.ts";

const SERVED = "/sample/generate/";
const args = ["--delay", "0"];

test("a worker shares a model with Dynamo's own, record for record", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  await using etcd = await makeEtcdStore("etcd-mixed");
  await etcd.start();
  const { store } = etcd;
  await using frontend = await startFrontend(store);
  const theirs = await (async () => {
    await using rust = await startRustWorker(store, { model: TINY_MODEL, args });
    await frontend.listed(TINY_MODEL);
    const found = await comparable(etcd);
    await using worker = await startReadyStator(store, { args });
    await until("both", 10_000, async () => (await etcd.keys(SERVED)).length === 4);
    await chats(frontend, 20);
    // It complains of a lease that is as short as it is here.
    const complaints = frontend.complaints().filter((line) => !line.includes("lease_ttl_secs"));
    assert.deepEqual(complaints, [], "both have the same checksum");
    worker.signal("SIGTERM");
    assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
    assert.deepEqual(await comparable(etcd), found, "only the worker's own records are gone");
    await chats(frontend, 4);
    assert.doesNotMatch(worker.output(), / (WARN|ERROR) /);
    rust.signal("SIGTERM");
    await rust.exit(20_000);
    return found;
  })();
  await until("nobody to be left", 10_000, async () => (await etcd.keys()).length === 0);
  await using _worker = await startReadyStator(store, { args });
  assert.deepEqual(await comparable(etcd), theirs);
});

test("a worker that is killed leaves with its lease; revoked, or stopped for too long, it comes back as it was", {
  timeout: 90_000,
}, async (t) => {
  if (!requirePeers(t)) return;
  await using etcd = await makeEtcdStore("etcd-loss");
  await etcd.start();
  await using frontend = await startFrontend(etcd.store);
  await using killed = await startReadyStator(etcd.store, { args });
  await frontend.listed(TINY_MODEL);
  const { lease } = (await etcd.keys())[0]!;
  killed.signal("SIGKILL");
  await using worker = await startReadyStator(etcd.store, { args: ["--delay", "0.1"] });
  await until("the records to go", 20_000, async () => (await etcd.keys()).every((key) => key.lease !== lease));
  const before = await etcd.keys();
  const isBack = async () => assert.deepEqual(await etcd.keys(), before);
  let tokens = 0;
  const inFlight = frontend.stream(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 30 }), { onEvent: () => void tokens++ });
  await until("tokens", 10_000, () => tokens > 2);
  await etcd.post("/v3/lease/revoke", { ID: before[0]!.lease });
  await until("the model to go", 10_000, async () => !(await frontend.models()).includes(TINY_MODEL));
  await worker.waitFor(/Back in discovery at etcd/, 10_000);
  await isBack();
  assert.match(worker.output(), /Lost the lease at etcd, .*reason="somebody revoked it"/);
  await frontend.listed(TINY_MODEL);
  const { finishReason, error } = await inFlight;
  assert.deepEqual([finishReason, error], ["length", undefined], "what was under way went on");

  worker.signal("SIGSTOP");
  await until("the records to go", 20_000, async () => (await etcd.keys()).length === 0);
  worker.signal("SIGCONT");
  await until("the records to be back", 10_000, async () => (await etcd.keys()).length === before.length);
  await isBack();
  await frontend.listed(TINY_MODEL);
  await chats(frontend, 4);
  assert.match(worker.output(), /reason="this process was paused for/);
  assert.doesNotMatch(frontend.complaints().join("\n"), /checksum/i);
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
});

test("a restart of etcd does no harm, nor does a loss of its data, nor its absence for longer than a lease", {
  timeout: 90_000,
}, async (t) => {
  if (!requirePeers(t)) return;
  await using etcd = await makeEtcdStore("etcd-restart");
  const port = await freePort();
  await using worker = await startStator(etcd.store, { args: [...args, "--gateway-port", String(port)] });
  await worker.waitFor(/etcd is not there yet; trying again in \d+ s .*nothing listens there/, 20_000);
  await etcd.start();
  await worker.ready();
  const before = await etcd.keys();
  assert.equal((await ask(port)).status, 200);

  await etcd.kill();
  await worker.waitFor(/Lost sight of discovery at etcd/, 20_000);
  await worker.waitFor(/Lost the lease at etcd, .*could not be renewed for 3 s/, 20_000);
  assert.equal((await ask(port)).status, 200, "what was seen stays in force");
  await etcd.start();
  await worker.waitFor(/Back in discovery at etcd/, 20_000);
  assert.deepEqual(await etcd.keys(), before);

  await etcd.kill(true);
  await etcd.start();
  await until("the records to be back", 20_000, async () => (await etcd.keys()).length === before.length);
  assert.deepEqual(await etcd.keys(), before);
  await worker.waitFor(/etcd lost its data: it is at revision/, 10_000);
  await until("answers", 10_000, async () => (await ask(port)).status === 200);
});

test("a worker that waits for etcd can be told to stop", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  await using etcd = await makeEtcdStore("etcd-wait");
  await using worker = await startStator(etcd.store, { args });
  await worker.waitFor(/etcd is not there yet/, 20_000);
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(5_000), { code: 0, signal: null });
});

async function chats(frontend: Frontend, count: number): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: count }, () => frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 4 }))),
  );
  for (const { status, body } of answers) assert.deepEqual([status, body.choices?.[0].message.content], [200, `"#$%`]);
}

async function ask(port: number): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${port}${CHAT}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(chat(TINY_MODEL, "hi", { max_tokens: 4 })),
  });
  await response.body?.cancel();
  return response;
}

/** Keys and values of the served endpoint, with ids and ports alike for all. */
async function comparable(etcd: EtcdStore): Promise<unknown> {
  const found = await etcd.keys(SERVED);
  for (const { key, lease } of found) assert.equal(key.split("/").at(-1), BigInt(lease).toString(16));
  const alike = (text: string, lease: string) =>
    text.replaceAll(BigInt(lease).toString(16), "<hex>").replaceAll(lease, "<id>").replaceAll(
      /127\.0\.0\.1:\d+/g,
      "<address>",
    );
  return found.map((
    { key, value, lease },
  ) => [alike(key, lease), JSON.parse(alike(value, lease).replaceAll("<id>", "0"))]);
}
