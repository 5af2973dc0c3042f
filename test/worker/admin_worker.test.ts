/** Drain, resume and controls of a whole worker, over real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine, JsonObject } from "../../src/engine/engine.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { chunk } from "../../src/protocol/output.ts";
import { held, post } from "../support/admin_bench.ts";
import { read, SENTINEL } from "../support/answers.ts";
import { makeWorker } from "../support/worker_life.ts";
import { eventually, type Generate, probeEngine, type Rig, startRig } from "../support/worker_rig.ts";

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(rig: Rig, path: string, init?: RequestInit): Promise<Reply> {
  const response = await fetch(`http://${rig.info.systemAddress}${path}`, init);
  return { status: response.status, body: JSON.parse(await response.text()) };
}

/** An engine whose requests end when a test lets them. */
function makeEngine(members: Partial<Engine> = {}) {
  const end = held<void>();
  const generate: Generate = async function* (request) {
    if (request.token_ids[0] === 13) throw new DynamoError("InvalidArgument", "unlucky");
    yield chunk.tokens([1]);
    await end.promise;
    yield chunk.stop();
  };
  const { cleanup, ...others } = members;
  const { engine, probe } = probeEngine(generate, cleanup === undefined ? {} : { cleanup });
  return { engine: { ...engine, ...others }, probe, end };
}

const isRegistered = (rig: Rig): boolean => rig.store.list("v1/instances").length === 1;

test("a drained worker serves what is routed to it, becomes idle, stays alive, and comes back", async () => {
  const { engine, probe, end } = makeEngine();
  await using rig = await startRig(engine);
  const record = rig.store.list("v1/instances")[0];
  const running = await rig.send();
  await running.framed(3);
  const drained = await ask(rig, "/engine/drain", post());
  assert.deepEqual([drained.status, drained.body.state, drained.body.in_flight], [200, "draining", 1]);
  assert.equal(isRegistered(rig), false);
  const health = await ask(rig, "/health");
  assert.deepEqual([health.status, health.body.endpoints], [503, { generate: "notready" }]);
  assert.equal((await ask(rig, "/live")).status, 200);
  // Routed before its frontend noticed.
  const late = await rig.send();
  await eventually("the late request", () => probe.open === 2);
  const busy = (await ask(rig, "/engine/status")).body;
  assert.deepEqual([busy.drained, busy.in_flight], [false, 2]);
  assert.ok(Number(busy.oldest_request_seconds) > 0);
  end.open();
  for (const call of [running, late]) assert.equal((await call.whole()).at(-1)?.header, SENTINEL);
  await eventually("an idle worker", async () => (await ask(rig, "/engine/status")).body.state === "drained");
  const idle = (await ask(rig, "/engine/status")).body;
  assert.deepEqual([idle.drained, idle.in_flight, idle.oldest_request_seconds], [true, 0, null]);
  assert.equal(idle.instance_id, rig.info.instanceId.toString(16));
  assert.equal((await ask(rig, "/engine/resume", post())).body.state, "ready");
  assert.deepEqual(rig.store.list("v1/instances")[0], record);
  assert.equal((await ask(rig, "/health")).status, 200);
  const again = await rig.send();
  assert.equal((await again.whole()).at(-1)?.header, SENTINEL);
  assert.deepEqual([probe.closed, probe.drains, probe.cleanups], [3, 0, 0]);
});

test("prologues are held again in a worker that came back: a bad request is refused there", async () => {
  const { engine } = makeEngine();
  await using rig = await startRig(engine);
  for (const verb of ["drain", "resume"]) assert.equal((await ask(rig, `/engine/${verb}`, post())).status, 200);
  const call = await rig.send({ body: { token_ids: [13], stop_conditions: {} } });
  const frames = read(await call.whole());
  assert.equal(frames.length, 2);
  assert.equal(JSON.parse(frames[1] as string).error, "unlucky");
});

test("a sleeping worker stops in order and is not registered again", async () => {
  const { engine, probe } = makeEngine({ controls: { sleep: () => ({ status: "ok" }) } });
  await using rig = await startRig(engine);
  assert.deepEqual(await ask(rig, "/engine/control/sleep", post()), { status: 200, body: { status: "ok" } });
  assert.equal(isRegistered(rig), false);
  assert.equal((await ask(rig, "/health")).status, 503);
  assert.deepEqual(await rig.worker.stop(), { exitCode: 0, error: null });
  assert.deepEqual([probe.cleanups, rig.store.list("v1/mdc").length, isRegistered(rig)], [1, 0, false]);
});

test("a worker told to stop during a slow wake_up does not come back; cleanup waits for the call", async () => {
  const slow = held<JsonObject>();
  const seen: string[] = [];
  const { engine } = makeEngine({
    controls: {
      sleep: () => ({}),
      async wake_up() {
        seen.push("wake_up");
        const reply = await slow.promise;
        seen.push("awake");
        return reply;
      },
    },
    cleanup: () => void seen.push("cleanup"),
  });
  await using rig = await startRig(engine);
  await ask(rig, "/engine/control/sleep", post());
  using _watch = rig.store.watch("v1/instances", ({ kind }) => void seen.push(kind));
  const asked = ask(rig, "/engine/control/wake_up", post());
  await eventually("the call", () => seen.length === 1);
  const stopping = rig.worker.stop();
  assert.match(String((await asked).body.message), /while the worker is shutting down$/);
  // Long enough for a shutdown that does not wait.
  await new Promise((resolve) => setTimeout(resolve, 50));
  slow.open({});
  assert.deepEqual(await stopping, { exitCode: 0, error: null });
  assert.deepEqual(seen, ["wake_up", "awake", "cleanup"]);
});

test("a control that never returns holds a shutdown up for its share only", async () => {
  const { engine, probe } = makeEngine({ controls: { start_profile: () => new Promise<never>(() => {}) } });
  await using rig = await startRig(engine, { worker: { shutdownTimeoutSeconds: 1 } });
  const asked = ask(rig, "/engine/control/start_profile", post());
  await new Promise((resolve) => setTimeout(resolve, 20));
  const stopping = rig.worker.stop();
  assert.match(String((await asked).body.message), /while the worker is shutting down$/);
  assert.equal((await stopping).exitCode, 3);
  assert.equal(probe.cleanups, 1);
});

test("a reserved update ends a worker before its engine starts", async () => {
  const { engine, probe } = makeEngine({ updates: { model_taints: () => ({}) } });
  const { worker } = makeWorker(engine);
  await assert.rejects(worker.start(), { kind: "InvalidArgument" });
  assert.equal((await worker.finished).exitCode, 1);
  assert.deepEqual([probe.starts, probe.cleanups], [0, 0]);
});
