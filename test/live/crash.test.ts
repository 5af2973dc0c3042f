/**
 * Workers that die or freeze without a word, behind Dynamo's own frontend.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { pause, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

/** Life of a record nobody touches. @unit milliseconds */
const TTL_MS = 10_000;

test("after kill -9 a restarted worker serves and no ghost stays", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("crash");
  await using frontend = await startFrontend(store);
  const args = ["--delay", "0.02"];
  const first = await startReadyStator(store, { args });
  await frontend.listed(TINY_MODEL);
  const stream = frontend.stream(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 200 }));
  await pause(500);
  const ghosts = store.keys("/sample/generate/");
  first.signal("SIGKILL");
  await first.exited;
  const killedAt = performance.now();
  const cut = await stream;
  assert.equal(cut.error?.code, 503, "the stream that was running ends with an error, not in silence");

  await using _second = await startReadyStator(store, { args });
  const recoveredMs = await steady(frontend, killedAt);
  console.log(`20 chats in a row were answered ${recoveredMs.toFixed(0)} ms after the kill`);
  const left = () => store.keys().filter((key) => ghosts.includes(key));
  await until("the ghost to go", 2 * TTL_MS, () => left().length === 0);
  console.log(`no record of the dead worker ${(performance.now() - killedAt).toFixed(0)} ms after the kill`);
  assert.equal(store.keys("v1/instances/dynamo/sample/generate/").length, 1, "one instance is left");
  await steady(frontend, performance.now());
});

test("a worker frozen for longer than its records live comes back", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("freeze");
  await using frontend = await startFrontend(store);
  await using worker = await startReadyStator(store, { args: ["--delay", "0"] });
  await frontend.listed(TINY_MODEL);
  worker.signal("SIGSTOP");
  const gone = () => store.keys("/sample/generate/").length === 0;
  await until("the frontend to drop its records", 3 * TTL_MS, gone);
  await until("the frontend to list nothing", 10_000, async () => (await frontend.models()).length === 0);
  worker.signal("SIGCONT");
  const listedMs = await frontend.listed(TINY_MODEL, 2 * TTL_MS);
  console.log(`listed again ${listedMs.toFixed(0)} ms after it went on`);
  await steady(frontend, performance.now());
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(20_000), { code: 0, signal: null });
  assert.deepEqual(store.keys("/sample/generate/"), []);
});

/** Waits until 20 chats in a row are answered; resolves with the time since `begin`. */
async function steady(frontend: Frontend, begin: number): Promise<number> {
  let inARow = 0;
  await until("20 answers in a row", 3 * TTL_MS, async () => {
    const { status } = await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 2 }));
    inARow = status === 200 ? inARow + 1 : 0;
    return inARow >= 20;
  });
  return performance.now() - begin;
}
