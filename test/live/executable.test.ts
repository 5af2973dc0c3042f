/**
 * One engine compiled to one executable serves behind Dynamo's own frontend, with nothing on its `PATH`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { REPOSITORY, requirePeers, TINY_MODEL } from "../support/peers.ts";
import { run, start } from "../support/processes.ts";
import { executable } from "../support/runtimes.ts";
import { makeStore } from "../support/store.ts";

test("a compiled engine serves without a runtime or Python", { timeout: 180_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("executable");
  const program = join(store.path, "worker");
  const args = ["build", "--compile", join(REPOSITORY, "compile/sample.ts"), "--outfile", program];
  const built = await run({ name: "bun build", executable: await executable("bun"), args, env: {} }, 120_000);
  assert.equal(built.code, 0, built.output);

  await using frontend = await startFrontend(store);
  await using worker = start({
    name: "compiled worker",
    executable: program,
    args: ["--model-name", TINY_MODEL, "--delay", "0"],
    env: { ...store.env, PATH: "/nonexistent" },
    cwd: store.path,
  });
  await worker.waitFor(/\bServing\b/, 30_000);
  await frontend.listed(TINY_MODEL);
  const { status, body } = await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 3 }));
  assert.deepEqual([status, body.choices?.[0].message.content], [200, '"#$']);
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
});
