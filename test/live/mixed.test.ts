/**
 * Stator workers and Dynamo's own Python worker serve one model together.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const REQUESTS = 60;

test("two Stator workers and a Python worker share a model", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("mixed");
  const ports = [await freePort(), await freePort(), await freePort()];
  const system = (index: number) => ({ DYN_SYSTEM_PORT: String(ports[index]) });
  const args = ["--delay", "0"];
  await using frontend = await startFrontend(store);
  await using _python = startPythonWorker(store, { model: TINY_MODEL, args, env: system(0) });
  // The first worker of a model decides its checksum; here that is Dynamo's own.
  await frontend.listed(TINY_MODEL);
  await using _first = await startReadyStator(store, { args, env: system(1) });
  await using _second = await startReadyStator(store, { args, env: system(2) });
  await until("three instances", 10_000, () => store.keys("/sample/generate/").length >= 6);

  // A frontend takes a moment to see the last one; none of these may fail meanwhile.
  const before = await Promise.all(ports.map(requestsServed));
  const counts = async () => {
    const now = await Promise.all(ports.map(requestsServed));
    return now.map((count, index) => count - (before[index] ?? 0));
  };
  await until("every worker to get requests", 20_000, async () => {
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, () => frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 4 }))),
    );
    for (const { status, body } of answers) {
      assert.equal(status, 200);
      assert.equal(body.choices[0].message.content, `"#$%`);
    }
    return (await counts()).every((count) => count >= REQUESTS / 6);
  });
  console.log(`requests: python, stator, stator = ${(await counts()).join(", ")}`);
  assert.deepEqual(frontend.complaints(), [], "all three have the same checksum");
});

/** Requests a worker has got so far, from its `/metrics`. */
async function requestsServed(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const rows = text.split("\n").filter((line) =>
    /^dynamo_component_requests_total\{.*dynamo_endpoint="generate"/.test(line)
  );
  return rows.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
