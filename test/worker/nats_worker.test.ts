/** Whole workers whose requests come over NATS, asked by the client that the gateway uses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, openClient } from "../../src/client/client.ts";
import { MemStore } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openNatsLink } from "../../src/nats/link.ts";
import { createLog, SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { chunk } from "../../src/protocol/output.ts";
import { decodeInstance, type InstanceRecord } from "../../src/protocol/record.ts";
import { createWorkerOn, type Worker } from "../../src/serve.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import { type FakeNats, type FakeNatsOptions, natsAt, openFakeNats } from "../support/fake_nats.ts";
import { eventually, type Generate, platformWith, probeEngine } from "../support/worker_rig.ts";

const BODY = { model: "probe", token_ids: [1, 2, 3], stop_conditions: { max_tokens: 3 } };

interface Rig extends AsyncDisposable {
  readonly server: FakeNats;
  readonly worker: Worker;
  readonly client: Client;
  readonly store: MemStore;
  readonly instance: InstanceRecord;
  readonly lines: string[];
}

async function startRig(engine: Engine, options: WorkerOptions = {}, nats: FakeNatsOptions = {}): Promise<Rig> {
  await using undo = new AsyncDisposableStack();
  const server = undo.use(await openFakeNats(nats));
  const natsServer = `nats://127.0.0.1:${server.port}`;
  const store = new MemStore();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const settings = { requestPlane: "nats", natsServer, ...options };
  const worker = createWorkerOn(platformWith(), engine, settings, store, log);
  undo.defer(async () => void await worker.stop());
  await worker.start();
  const openNats = () => openNatsLink({ ...natsAt(server.port), log: SILENT });
  const client = undo.use(await openClient({ ...realPlatform, openNats }));
  const instance = store.list("v1/instances").map(({ value }) => decodeInstance(value))
    .find(({ endpoint }) => endpoint === "generate")!;
  const running = undo.move();
  return { server, worker, client, store, instance, lines, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function tokensOf(client: Client, instance: InstanceRecord): Promise<number[]> {
  const tokens: number[] = [];
  for await (const item of await client.send(instance, { body: BODY })) tokens.push(...item.data?.token_ids ?? []);
  return tokens;
}

const three: Generate = async function* () {
  await Promise.resolve();
  yield chunk.tokens([1]);
  yield chunk.tokens([2]);
  yield { token_ids: [3], finish_reason: "length" };
};

test("a worker is found by its subject, and answers", async () => {
  await using rig = await startRig(probeEngine(three).engine);
  const { transport } = rig.instance;
  assert.ok("nats_tcp" in transport);
  assert.match(transport.nats_tcp, /^dynamo_backend\.generate-[0-9a-f]+$/);
  assert.ok(rig.server.subscriptions.includes(`${transport.nats_tcp} q`));
  assert.deepEqual(await tokensOf(rig.client, rig.instance), [1, 2, 3]);
  const many = await Promise.all(Array.from({ length: 64 }, () => tokensOf(rig.client, rig.instance)));
  assert.ok(many.every((tokens) => tokens.join() === "1,2,3"));
});

test("the engine's limit holds, and its refusal reaches the client in its words", async () => {
  const gate = Promise.withResolvers<void>();
  const { engine } = probeEngine(async function* () {
    await gate.promise;
    yield { token_ids: [1], finish_reason: "length" };
  });
  await using rig = await startRig(engine, { engineRequestLimit: 1, requestQueueLimit: 0 });
  const first = tokensOf(rig.client, rig.instance);
  await eventually("the first", () => rig.server.received.length >= 1);
  await assert.rejects(tokensOf(rig.client, rig.instance), { reason: "capacity.worker_overloaded" });
  gate.resolve();
  assert.deepEqual(await first, [1]);
});

test("a worker that stops finishes what it has, and is gone from NATS then", async () => {
  const gate = Promise.withResolvers<void>();
  const { engine, probe } = probeEngine(async function* () {
    yield chunk.tokens([1]);
    await gate.promise;
    yield { token_ids: [2], finish_reason: "length" };
  });
  await using rig = await startRig(engine);
  const running = Array.from({ length: 8 }, () => tokensOf(rig.client, rig.instance));
  await eventually("all to run", () => probe.open === 8);
  const stopping = rig.worker.stop();
  await eventually("the refusals", () => rig.lines.some((line) => line.includes("Refusing new requests")));
  await assert.rejects(tokensOf(rig.client, rig.instance), { reason: "backend.worker_unavailable" });
  gate.resolve();
  assert.ok((await Promise.all(running)).every((tokens) => tokens.join() === "1,2"));
  assert.equal((await stopping).exitCode, 0);
  assert.deepEqual(rig.server.subscriptions.filter((subject) => subject.endsWith(" q")), []);
  await assert.rejects(tokensOf(rig.client, rig.instance), {
    reason: "transport.cannot_connect",
    message: /nobody takes requests there/,
  });
});

test("a lost server leaves what runs alone; requests come again when it is back", async () => {
  const gate = Promise.withResolvers<void>();
  const { engine, probe } = probeEngine(async function* () {
    yield chunk.tokens([1]);
    await gate.promise;
    yield { token_ids: [2], finish_reason: "length" };
  });
  await using rig = await startRig(engine);
  const running = tokensOf(rig.client, rig.instance);
  await eventually("it to run", () => probe.open === 1);
  const before = rig.store.list("v1/instances").length;
  rig.server.cut();
  await eventually("the loss", () => rig.lines.some((line) => line.includes("Lost the connection to NATS")));
  gate.resolve();
  assert.deepEqual(await running, [1, 2]);
  assert.equal(rig.store.list("v1/instances").length, before);
  await eventually("the way back", () => tokensOf(rig.client, rig.instance).then(() => true, () => false));
});

test("a request longer than NATS takes is refused before it is sent", async () => {
  await using rig = await startRig(probeEngine(three).engine, {}, { maxPayload: 500 });
  const body = { ...BODY, token_ids: Array.from({ length: 1000 }, () => 1) };
  const before = rig.server.received.length;
  await assert.rejects(rig.client.send(rig.instance, { body }), {
    reason: "request.invalid_argument",
    message: /^Cannot send request: \d+ bytes, NATS takes at most 500$/,
  });
  assert.equal(rig.server.received.length, before);
});

test("a client that was given no NATS says so, and one that cannot connect tries again", async () => {
  await using rig = await startRig(probeEngine(three).engine);
  await using without = await openClient(realPlatform);
  await assert.rejects(tokensOf(without, rig.instance), /does not reach workers over the nats request plane/);
  let attempts = 0;
  const openNats = () => openNatsLink({ ...natsAt(attempts++ === 0 ? 1 : rig.server.port), log: SILENT });
  await using client = await openClient({ ...realPlatform, openNats });
  await assert.rejects(tokensOf(client, rig.instance), { reason: "transport.cannot_connect" });
  assert.deepEqual(await tokensOf(client, rig.instance), [1, 2, 3]);
});

test("requests and events share one connection", async () => {
  await using rig = await startRig(probeEngine(three).engine, { eventPlane: "nats" });
  assert.equal(rig.server.connects.length, 1);
});

test("no server: the start fails in a line that says what to do", async () => {
  const settings = { requestPlane: "nats", natsServer: "nats://127.0.0.1:1", natsConnectTimeoutSeconds: 0 };
  const worker = createWorkerOn(platformWith(), probeEngine(three).engine, settings, new MemStore(), SILENT);
  await assert.rejects(worker.start(), { kind: "CannotConnect", message: /NATS at 127\.0\.0\.1:1: .*set NATS_SERVER/ });
  assert.equal((await worker.finished).exitCode, 1);
});
