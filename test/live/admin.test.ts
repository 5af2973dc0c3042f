/**
 * An operator empties a worker and puts it back, as Dynamo's own frontend sees it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

test("drain hides a worker while its stream goes on, and resume brings it back", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("admin");
  await using frontend = await startFrontend(store);
  const port = await freePort();
  await using _worker = await startReadyStator(store, {
    args: ["--delay", "0.05"],
    env: { DYN_SYSTEM_PORT: String(port), DYN_SYSTEM_HOST: "127.0.0.1", DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "1" },
  });
  await frontend.listed(TINY_MODEL);
  const call = async (method: string, path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return { status: response.status, body: JSON.parse(await response.text()) };
  };

  const running = frontend.post(CHAT, chat(TINY_MODEL, "x", { max_tokens: 60 }));
  await until("the request to run", 10_000, async () => (await call("GET", "/engine/status")).body.in_flight === 1);
  assert.equal((await call("POST", "/engine/drain")).status, 200);
  await until("the model to be hidden", 10_000, async () => !(await frontend.models()).includes(TINY_MODEL));
  assert.equal((await call("GET", "/health")).status, 503);
  assert.equal((await call("GET", "/live")).status, 200);
  const answer = await running;
  assert.equal(answer.status, 200, "what ran when it left is answered in full");
  assert.equal(answer.body.usage.completion_tokens, 60);
  await until("nothing to be left", 10_000, async () => (await call("GET", "/engine/status")).body.drained === true);

  assert.equal((await call("POST", "/engine/resume")).status, 200);
  console.log(`listed ${Math.round(await frontend.listed(TINY_MODEL))} ms after resume`);
  assert.equal((await call("GET", "/health")).status, 200);
  await until(
    "an answer",
    10_000,
    async () => (await frontend.post(CHAT, chat(TINY_MODEL, "x", { max_tokens: 2 }))).status === 200,
  );
});
