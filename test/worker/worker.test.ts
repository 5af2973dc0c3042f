/** A worker's life from start to stop, over real sockets; time is virtual where it matters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore } from "../../src/discovery/mem.ts";
import type { RequestAborted } from "../../src/engine/context.ts";
import { SILENT } from "../../src/observe/log.ts";
import type { DynamoError } from "../../src/protocol/error.ts";
import { chunk } from "../../src/protocol/output.ts";
import { createWorkerOn } from "../../src/serve.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";
import type { RawCall } from "../support/raw_frontend.ts";
import { endless, keys, makeWorker, outcomeOf, passUntil, sockets } from "../support/worker_life.ts";
import { eventually, type Generate, platformWith, probeEngine, startRig } from "../support/worker_rig.ts";

/** One token, then the end when told. */
function waiting(release: Promise<void>): Generate {
  return async function* () {
    yield chunk.tokens([1]);
    await release;
    yield chunk.stop();
  };
}

function errorReason(call: RawCall): string | undefined {
  const { body } = call.frames.at(-3)!;
  return JSON.parse(new TextDecoder().decode(body)).data?.error?.reason;
}

test("a worker publishes its card before its endpoint, and takes them back in the other order", async () => {
  const { engine } = probeEngine(endless);
  const { worker, store } = makeWorker(engine);
  const events: string[] = [];
  for (const bucket of ["v1/instances", "v1/mdc"] as const) {
    store.watch(bucket, (event) => events.push(`${event.kind} ${event.key.bucket}`));
  }
  await worker.start();
  assert.deepEqual(events, ["put v1/mdc", "put v1/instances"]);
  assert.deepEqual(await worker.stop(), { exitCode: 0, error: null });
  assert.deepEqual(events.slice(2), ["delete v1/instances", "delete v1/mdc"]);
  assert.deepEqual(keys(store), []);
});

test("start() tells who the worker is, and /health says ready from then until it stops", async () => {
  const ids: bigint[] = [];
  const start = (id: bigint) => (ids.push(id), Promise.resolve({ model: "probe" }));
  const { engine } = probeEngine(endless, { start });
  await using rig = await startRig(engine, { worker: { servedModelName: "served" } });
  assert.deepEqual(ids, [rig.info.instanceId]);
  assert.equal(rig.info.modelName, "served");
  assert.deepEqual(rig.info.endpoint, { namespace: "dynamo", component: "backend", endpoint: "generate" });
  assert.ok(rig.path.startsWith(`${rig.info.instanceId.toString(16)}/`));
  assert.equal((await fetch(`http://${rig.info.systemAddress}/health`)).status, 200);
});

test("requests in flight finish before drain and cleanup, and the exit is clean", async () => {
  const release = Promise.withResolvers<void>();
  const order: string[] = [];
  const { engine, probe } = probeEngine(waiting(release.promise), {
    drain: () => void order.push(`drain with ${probe.open} open, ${keys(rig.store).length} record`),
    cleanup: () => void order.push(`cleanup with ${probe.open} open`),
  });
  await using rig = await startRig(engine);
  const calls = await Promise.all(Array.from({ length: 5 }, () => rig.send()));
  await Promise.all(calls.map((call) => call.framed(3)));
  const stopping = rig.worker.stop();
  await eventually("the endpoint record to go", () => rig.store.list("v1/instances").length === 0);
  assert.equal(rig.store.list("v1/mdc").length, 1);
  await sockets();
  assert.deepEqual(order, []);
  release.resolve();
  for (const call of calls) assert.equal((await call.whole()).length, 6);
  assert.deepEqual(await stopping, { exitCode: 0, error: null });
  assert.deepEqual(order, ["drain with 0 open, 1 record", "cleanup with 0 open"]);
  assert.deepEqual(probe.aborts, []);
  assert.deepEqual(keys(rig.store), []);
});

test("a stopping worker refuses new requests as unavailable, /health says 503 and /live 200", async () => {
  const release = Promise.withResolvers<void>();
  const { engine } = probeEngine(waiting(release.promise));
  await using rig = await startRig(engine);
  const call = await rig.send();
  await call.framed(3);
  const stopping = rig.worker.stop();
  await eventually("admission to close", async () => {
    const before = rig.link.acks.length;
    rig.link.write(rig.frame());
    return (await rig.link.acked(before + 1))[before]!.startsWith("Server unavailable: ");
  });
  assert.equal((await fetch(`http://${rig.info.systemAddress}/health`)).status, 503);
  assert.equal((await fetch(`http://${rig.info.systemAddress}/live`)).status, 200);
  release.resolve();
  await stopping;
});

test("requests that come during the grace are served, and the grace is slept in full", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(async function* () {
    yield chunk.stop();
  });
  await using rig = await startRig(engine, { platform: { clock }, worker: { graceSeconds: 3 } });
  const stopping = rig.worker.stop();
  await clock.advance(2999);
  await (await rig.send()).whole();
  assert.equal(rig.store.list("v1/instances").length, 0);
  assert.equal(probe.cleanups, 0);
  await clock.advance(1);
  await passUntil(clock, "the end of the connection", () => probe.cleanups === 1);
  assert.equal((await outcomeOf(clock, stopping)).exitCode, 0);
});

test("a request whose prologue is held when the stop comes gets it before the endpoint record goes", async () => {
  const clock = new FakeClock();
  const release = Promise.withResolvers<void>();
  const { engine, probe } = probeEngine(async function* () {
    await release.promise;
    yield chunk.stop();
  });
  await using rig = await startRig(engine, { platform: { clock } });
  const call = await rig.send();
  await eventually("the engine to begin", () => probe.open === 1);
  let recordAtPrologue: boolean | undefined;
  call.socket.on("data", () => recordAtPrologue ??= rig.store.list("v1/instances").length === 1);
  const stopping = rig.worker.stop();
  await call.framed(2);
  assert.equal(recordAtPrologue, true);
  release.resolve();
  await passUntil(clock, "the rest", () => call.isWhole);
  call.fin();
  await passUntil(clock, "cleanup", () => probe.cleanups === 1);
  await outcomeOf(clock, stopping);
});

test("what is in flight when time is up ends with a migratable error, then cleanup runs; exit code 3", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(endless);
  const worker = { shutdownTimeoutSeconds: 6, engineRequestLimit: 1, requestQueueLimit: 4 };
  await using rig = await startRig(engine, { platform: { clock }, worker });
  const call = await rig.send({ id: "running" });
  for (const id of ["queued-1", "queued-2"]) rig.link.write(rig.frame({ id }));
  assert.deepEqual(await rig.link.acked(3), ["", "", ""]);
  await passUntil(clock, "tokens", () => call.frames.length > 5);
  const stoppedAt = clock.now();
  let endedAt = 0;
  call.socket.on("data", () => endedAt = call.isWhole ? clock.now() : 0);
  const stopping = rig.worker.stop();
  await passUntil(clock, "the answer to end", () => call.isWhole);
  // 6 s less a third of it.
  assert.ok(endedAt - stoppedAt >= 4000 && endedAt - stoppedAt <= 4500, `${endedAt - stoppedAt}`);
  const queued = await Promise.all(["queued-1", "queued-2"].map((id) => rig.frontend.call(id)));
  for (const one of [call, ...queued]) {
    await one.whole();
    assert.equal(one.frames[1]!.header, '{"error":null}');
    assert.equal(errorReason(one), "backend.engine_shutdown");
    // Nothing but tokens before the error: no word of the engine about its abort.
    const tokens = one.frames.slice(2, -3).map(({ body }) => JSON.parse(new TextDecoder().decode(body)).data.data);
    assert.ok(tokens.every(({ finish_reason }) => finish_reason === null));
  }
  await passUntil(clock, "cleanup", () => probe.cleanups === 1);
  assert.equal((await outcomeOf(clock, stopping)).exitCode, 3);
  // The engine never heard of those that had waited.
  assert.deepEqual(probe.seen.map(({ ctx }) => ctx.id), ["running"]);
  assert.equal((probe.seen[0]!.ctx.signal.reason as RequestAborted).reason, "deadline");
  assert.deepEqual([probe.open, probe.openAtCleanup, probe.drains, probe.starts], [0, 0, 1, 1]);
  assert.deepEqual(keys(rig.store), []);
});

for (
  const [what, generate] of [
    ["throws", async function* (_request, ctx) {
      yield chunk.tokens([1]);
      await ctx.clock.sleepUntil(Infinity, ctx.signal);
      throw new Error("aborted");
    }],
    ["says cancelled", async function* (_request, ctx) {
      yield chunk.tokens([1]);
      await ctx.clock.sleepUntil(Infinity, ctx.signal);
      yield chunk.cancelled();
    }],
    ["just ends", async function* (_request, ctx) {
      yield chunk.tokens([1]);
      await ctx.clock.sleepUntil(Infinity, ctx.signal);
    }],
  ] satisfies readonly (readonly [string, Generate])[]
) {
  test(`at the deadline the error is the one end of an answer whose engine ${what} when aborted`, async () => {
    const clock = new FakeClock();
    const { engine, probe } = probeEngine(generate);
    await using rig = await startRig(engine, { platform: { clock } });
    const call = await rig.send();
    await passUntil(clock, "a token", () => call.frames.length === 3);
    const stopping = rig.worker.stop();
    await passUntil(clock, "the answer to end", () => call.isWhole);
    assert.equal(call.frames.length, 6);
    assert.equal(errorReason(call), "backend.engine_shutdown");
    assert.equal((await outcomeOf(clock, stopping)).exitCode, 3);
    assert.equal(probe.cleanups, 1);
  });
}

test("an engine that ignores its abort at the deadline does not keep cleanup from running", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(async function* () {
    yield chunk.tokens([1]);
    await new Promise(() => {});
  });
  await using rig = await startRig(engine, { platform: { clock } });
  const call = await rig.send();
  await passUntil(clock, "a token", () => call.frames.length === 3);
  const stoppedAt = clock.now();
  const stopping = rig.worker.stop();
  await passUntil(clock, "cleanup", () => probe.cleanups === 1);
  assert.ok(clock.now() - stoppedAt <= 30_000);
  assert.ok(call.isWhole);
  assert.equal((await outcomeOf(clock, stopping)).exitCode, 3);
});

test("an engine whose finally hangs after its last chunk does not keep cleanup from running", async () => {
  const clock = new FakeClock();
  const { engine, probe } = probeEngine(async function* () {
    try {
      yield chunk.stop();
    } finally {
      await new Promise(() => {});
    }
  });
  await using rig = await startRig(engine, { platform: { clock }, worker: { validate: "warn" } });
  await (await rig.send()).whole();
  const stoppedAt = clock.now();
  const stopping = rig.worker.stop();
  await passUntil(clock, "cleanup", () => probe.cleanups === 1);
  assert.ok(clock.now() - stoppedAt <= 28_000, `${clock.now() - stoppedAt}`);
  assert.equal((await outcomeOf(clock, stopping)).exitCode, 3);
});

test("a second stop ends what is in flight at once with the same error; cleanup runs; exit code 3", async () => {
  const { engine, probe } = probeEngine(endless);
  await using rig = await startRig(engine);
  const call = await rig.send();
  await call.framed(4);
  rig.worker.stop();
  await eventually("the first stop", () => rig.store.list("v1/instances").length === 0);
  const stopping = rig.worker.stop();
  await call.whole();
  assert.equal(errorReason(call), "backend.engine_shutdown");
  assert.equal((await stopping).exitCode, 3);
  assert.deepEqual([probe.cleanups, probe.open], [1, 0]);
  assert.deepEqual(keys(rig.store), []);
});

// Hooks that fail

for (const hook of ["drain", "cleanup"] as const) {
  test(`a ${hook} that throws is logged; the rest is undone, exit code 0`, async () => {
    const { engine, probe } = probeEngine(endless, { [hook]: () => Promise.reject(new Error(`${hook} broke`)) });
    const { worker, store, lines } = makeWorker(engine);
    await worker.start();
    assert.equal((await worker.stop()).exitCode, 0);
    assert.ok(lines.some((line) => line.includes(`${hook} broke`)));
    assert.equal(probe.cleanups, 1);
    assert.deepEqual(keys(store), []);
  });

  test(`a ${hook} that hangs is cut; the rest is undone before the deadline, exit code 3`, async () => {
    const clock = new FakeClock();
    const { engine, probe } = probeEngine(endless, { [hook]: () => new Promise(() => {}) });
    const { worker, store } = makeWorker(engine, {}, clock);
    await worker.start();
    const stoppedAt = clock.now();
    let isOver = false;
    const stopping = worker.stop().finally(() => isOver = true);
    await passUntil(clock, "the end", () => isOver);
    assert.ok(clock.now() - stoppedAt <= 30_000, `${clock.now() - stoppedAt}`);
    assert.equal((await outcomeOf(clock, stopping)).exitCode, 3);
    assert.equal(probe.cleanups, 1);
    assert.deepEqual(keys(store), []);
  });
}

test("a cleanup that hangs to its end leaves a file store empty all the same", async () => {
  const clock = new FakeClock();
  const files = new MemoryFiles(clock);
  const { engine } = probeEngine(endless, { cleanup: () => new Promise(() => {}) });
  const options = { discoveryBackend: "file", fileKv: "/tmp/store", graceSeconds: 0, tcpRpcHost: "127.0.0.1" };
  const worker = createWorkerOn(platformWith({ clock, files }), engine, options, new MemStore(), SILENT);
  await worker.start();
  assert.equal(files.paths.length, 3);
  assert.equal((await outcomeOf(clock, worker.stop())).exitCode, 3);
  assert.deepEqual(files.paths, []);
});

test("every stop() and the finished promise tell the same outcome, and cleanup runs once", async () => {
  const { engine, probe } = probeEngine(endless);
  const { worker } = makeWorker(engine);
  await worker.start();
  const outcome = await worker.stop();
  assert.deepEqual(await worker.stop(), outcome);
  assert.deepEqual(await worker.finished, outcome);
  assert.equal(probe.cleanups, 1);
});

test("a port in use fails the start as CannotConnect, before the engine starts", async () => {
  const { engine } = probeEngine(endless);
  await using rig = await startRig(engine);
  const second = probeEngine(endless);
  const port = Number(rig.address.split(":")[1]);
  const worker = createWorkerOn(platformWith(), second.engine, { tcpRpcPort: port }, new MemStore(), SILENT);
  await assert.rejects(
    worker.start(),
    (error: DynamoError) => error.kind === "CannotConnect" && error.message.includes(String(port)),
  );
  assert.equal((await worker.finished).exitCode, 1);
  assert.deepEqual([second.probe.starts, second.probe.cleanups], [0, 0]);
});

test("a stopped worker leaves no timer and no socket", async () => {
  const clock = new FakeClock();
  const { engine } = probeEngine(async function* () {
    yield chunk.stop();
  });
  const rig = await startRig(engine, { platform: { clock } });
  const calls = await Promise.all(Array.from({ length: 10 }, () => rig.send()));
  for (const call of calls) await call.whole();
  const killed = await rig.send();
  killed.reset();
  await Promise.all(calls.map((call) => call.closed()));
  const stopping = rig.worker.stop();
  await outcomeOf(clock, stopping);
  assert.equal(clock.pendingTimers, 0);
  await rig.link.over();
  await assert.rejects(rig.frontend.dial(rig.address));
  await rig[Symbol.asyncDispose]();
});
