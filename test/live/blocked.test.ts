/**
 * Engines that block the event loop, behind Dynamo's own frontend.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHAT, chat, startFrontend, type Stream } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, pause, until } from "../support/processes.ts";
import { startReadyStator, type Stator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

const RECORDS = "/backend/generate/";

interface Worker extends AsyncDisposable {
  readonly stator: Stator;
  /** Blocks its event loop once it has a request; resolves when it is. */
  block(ms: number): Promise<void>;
  get(path: string): Promise<{ status: number; body: Record<string, unknown> }>;
}

async function startWorker(store: Store, name: string, env: Readonly<Record<string, string>>): Promise<Worker> {
  const port = await freePort();
  const file = join(store.path, `block-${name}`);
  const stator = await startReadyStator(store, {
    program: "test/support/blocking_engine.ts",
    env: { DYN_SYSTEM_PORT: String(port), DYN_SYSTEM_HOST: "127.0.0.1", STATOR_TEST_BLOCK: file, ...env },
  });
  return {
    stator,
    async block(ms) {
      writeFileSync(file, String(ms));
      await stator.waitFor(/BLOCKED/, 10_000);
    },
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, body: JSON.parse(await response.text()) };
    },
    [Symbol.asyncDispose]: () => stator[Symbol.asyncDispose](),
  };
}

/** Whether a text is the alphabet over and over, from anywhere: nothing is missing, nothing is there twice. */
function isSeamless(text: string): boolean {
  const first = text.charCodeAt(0) - 65;
  return [...text].every((letter, i) => letter.charCodeAt(0) - 65 === (first + i) % 26);
}

for (const { limit, isRed } of [{ limit: "30", isRed: false }, { limit: "2", isRed: true }]) {
  const color = isRed ? "red" : "green";
  test(`a worker blocked for 5 s stays in discovery, its liveness ${color} with a limit of ${limit} s`, {
    timeout: 120_000,
  }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("blocked");
    await using frontend = await startFrontend(store);
    await using worker = await startWorker(store, "only", { STATOR_LIVENESS_LIMIT_SECS: limit });
    await frontend.listed(TINY_MODEL);
    const records = store.keys(RECORDS);
    assert.equal((await worker.get("/live")).status, 200);
    const stream = frontend.stream(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 40 }));
    await worker.block(5000);

    const blockedAt = performance.now();
    const seen: { status: number; atMs: number }[] = [];
    const healths = new Set<number>();
    while (!worker.stator.output().includes("WENT ON")) {
      const { status } = await worker.get("/live");
      seen.push({ status, atMs: Math.round(performance.now() - blockedAt) });
      healths.add((await worker.get("/health")).status);
      assert.deepEqual(store.keys(RECORDS), records, "its records are there all the time");
      await pause(50);
    }
    const red = seen.find(({ status }) => status === 503)?.atMs;
    console.log(`${seen.length} liveness checks while it was blocked, the first red one after ${red} ms`);
    assert.equal(red !== undefined, isRed);
    assert.ok(healths.has(503), "readiness is withdrawn meanwhile");

    await until(
      "both checks to be green again",
      10_000,
      async () => (await worker.get("/live")).status === 200 && (await worker.get("/health")).status === 200,
    );
    const { text, finishReason, error } = await stream;
    assert.deepEqual([text.length, isSeamless(text), finishReason, error], [40, true, "length", undefined]);
    assert.deepEqual(store.keys(RECORDS), records);
    assert.ok((await frontend.models()).includes(TINY_MODEL));
    assert.equal((await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 2 }))).status, 200);
  });
}

test("a worker blocked for good leaves, ends with code 4, and another finishes its streams", {
  timeout: 120_000,
}, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("blocked-for-good");
  await using frontend = await startFrontend(store, { DYN_MIGRATION_LIMIT: "3" });
  await using bad = await startWorker(store, "bad", {
    STATOR_LIVENESS_LIMIT_SECS: "2",
    STATOR_BLOCKED_EXIT_SECS: "12",
    DYN_LOGGING_JSONL: "1",
  });
  await frontend.listed(TINY_MODEL);
  const records = store.keys(RECORDS);
  await using _good = await startWorker(store, "good", {});
  const instances = () => store.keys(`v1/instances/dynamo${RECORDS}`);
  await until("both workers", 10_000, () => instances().length === 2);
  await pause(500);

  let begun = 0;
  const streams: Promise<Stream>[] = [];
  for (let i = 0; i < 8; i++) {
    const options = { onEvent: (event: { choices?: unknown[] }) => void (begun += event.choices?.length ? 1 : 0) };
    streams.push(frontend.stream(CHAT, chat(TINY_MODEL, `hi ${i}`, { max_tokens: 60 }), options));
  }
  await until("the streams to be under way", 10_000, () => begun >= 24);
  await bad.block(3_600_000);
  const blockedAt = performance.now();
  const since = () => `${Math.round(performance.now() - blockedAt)} ms after it blocked`;

  await until("its liveness to be red", 10_000, async () => (await bad.get("/live")).status === 503);
  console.log(`red ${since()}`);
  await until("its records to be gone", 20_000, () => records.every((key) => !store.keys(RECORDS).includes(key)));
  console.log(`no record ${since()}`);
  assert.equal(bad.stator.output().includes("ending the process"), false, "it left before it ended");
  assert.deepEqual(await bad.stator.exit(20_000), { code: 4, signal: null });
  console.log(`ended ${since()}`);
  const line = JSON.parse(bad.stator.output().split("\n").find((one) => one.includes("ending the process"))!);
  assert.deepEqual([line.level, line.target, line.exit_code], ["ERROR", "stator::watchdog", 4]);
  assert.ok(Math.abs(Date.parse(line.time) - Date.now()) < 20_000, line.time);

  for (const stream of await Promise.all(streams)) {
    const { text, finishReason, error, done } = stream;
    assert.deepEqual([text.length, isSeamless(text), finishReason, error, done], [60, true, "length", undefined, true]);
  }
  console.log(`all streams whole ${since()}`);
  assert.ok((await frontend.models()).includes(TINY_MODEL));
});

test("a worker that stood still as a whole is neither red nor ended", { timeout: 60_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("stopped");
  await using worker = await startWorker(store, "only", {
    STATOR_LIVENESS_LIMIT_SECS: "2",
    STATOR_BLOCKED_EXIT_SECS: "11",
  });
  worker.stator.signal("SIGSTOP");
  await pause(13_000);
  worker.stator.signal("SIGCONT");
  assert.equal((await worker.get("/live")).status, 200);
  await until("it to be ready", 10_000, async () => (await worker.get("/health")).status === 200);
  worker.stator.signal("SIGTERM");
  assert.deepEqual(await worker.stator.exit(20_000), { code: 0, signal: null });
});
