/** A failure that nobody caught: the worker leaves, its requests go elsewhere, the exit code says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import { chunk } from "../../src/protocol/output.ts";
import { decodeInstance } from "../../src/protocol/record.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { WorkerLife } from "../../src/worker/worker.ts";
import { read } from "../support/answers.ts";
import { openRawFrontend } from "../support/raw_frontend.ts";
import { eventually, type Generate, platformWith, probeEngine } from "../support/worker_rig.ts";

const endless: Generate = async function* (_request, { signal, clock }) {
  for (let i = 0; !signal.aborted; i++) {
    yield chunk.tokens([i]);
    await clock.sleepUntil(clock.now() + 1, signal);
  }
  yield chunk.cancelled();
};

function begin(engine: Engine, options: Record<string, unknown> = {}) {
  const store = new MemStore();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const resolved = resolveOptions({ shutdownTimeoutSeconds: 30, ...options }, {});
  const life = new WorkerLife(engine, { platform: platformWith(), options: resolved, log, memStore: store });
  life.begin();
  return { life, store, lines };
}

test("requests end at once as migratable, drain is left out, cleanup runs, exit code 4", async () => {
  const { engine, probe } = probeEngine(endless);
  const { life, store, lines } = begin(engine, { graceSeconds: 30 });
  await life.ready;
  await using frontend = await openRawFrontend();
  const { transport } = decodeInstance(store.list("v1/instances")[0]!.value);
  const [address, ...path] = (transport as { tcp: string }).tcp.split("/");
  const link = await frontend.dial(address!);
  link.write(frontend.frame(path.join("/"), { id: "r" }));
  const call = await frontend.call("r");
  await call.framed(4);

  life.fail(new Error("the card fell off the bus"));
  const frames = read(await call.whole()) as { data: { error: { reason: string } } }[];
  assert.equal(frames.at(-3)?.data.error.reason, "backend.engine_shutdown");
  assert.equal(store.list("v1/instances").length, 0);
  const { exitCode, error } = await life.finished;
  assert.equal(exitCode, 4);
  assert.match(error!.message, /fell off the bus/);
  assert.deepEqual([probe.drains, probe.cleanups, probe.open], [0, 1, 0]);
  const at = (text: string) => lines.findIndex((line) => line.includes(text));
  const order = [
    "The process failed",
    "Readiness withdrawn",
    "Phase 1",
    "Phase 2",
    "Ending requests",
    "cleanup",
    "Phase 3",
  ];
  assert.deepEqual(order.map(at), order.map(at).toSorted((a, b) => a - b), lines.join("\n"));
});

test("a failure in the middle of an orderly stop ends the wait for requests", async () => {
  const { engine, probe } = probeEngine(endless);
  const { life, store } = begin(engine, { graceSeconds: 30 });
  await life.ready;
  life.stop();
  await eventually("the record to go", () => store.list("v1/instances").length === 0);
  life.fail(new Error("now this"));
  assert.equal((await life.finished).exitCode, 4);
  assert.equal(probe.cleanups, 1);
});

test("a failure during start is a failed start", async () => {
  const { engine, probe } = probeEngine(endless, {
    start: (_id, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve({ model: "m" }))),
  });
  const { life, store } = begin(engine);
  await eventually("start", () => probe.starts === 1);
  life.fail(new Error("no memory"));
  const { exitCode, error } = await life.finished;
  assert.equal(exitCode, 1);
  assert.match(error!.message, /no memory/);
  assert.deepEqual([probe.cleanups, store.list("v1/instances").length], [1, 0]);
});
