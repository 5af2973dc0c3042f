/**
 * More requests than a worker lets in, through Dynamo's own frontend.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seedOf } from "../support/fault_scenarios.ts";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

/** What Dynamo's own worker causes, see 1.3 of the protocol notes; measured on 1.6.1. */
const OVERLOADED = { message: "Service temporarily overloaded", type: "Overloaded", code: 529 };

test("a worker at its limit refuses with 529 and recovers", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("overload");
  await using frontend = await startFrontend(store);
  await using _worker = await startReadyStator(store, {
    program: "test/support/fault_engine.ts",
    env: { DYN_ENGINE_REQUEST_LIMIT: "2", DYN_DYNAMO_REQUEST_QUEUE_LIMIT: "3" },
  });
  await frontend.listed(TINY_MODEL);
  const slow = chat(TINY_MODEL, "x", { seed: seedOf("slow"), max_tokens: 20 });
  const answers = await Promise.all(Array.from({ length: 24 }, () => frontend.post(CHAT, slow)));

  const served = answers.filter((answer) => answer.status === 200);
  const refused = answers.filter((answer) => answer.status !== 200);
  console.log(`${served.length} served, ${refused.length} refused`);
  // Dynamo's own worker holds one more than limit and queue at times; neither may ever serve fewer.
  assert.ok(served.length >= 5, "running and queued requests are served");
  assert.ok(refused.length >= 24 - 7, "the rest is refused");
  for (const answer of refused) assert.deepEqual(answer, { status: 529, body: OVERLOADED });
  for (const answer of served) assert.equal(answer.body.choices[0].finish_reason, "length");

  await until("the worker to be chosen again", 20_000, async () => (await frontend.post(CHAT, slow)).status === 200);
});
