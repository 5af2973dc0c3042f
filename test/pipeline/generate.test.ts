/** The stream of an engine, item by item, without a wire. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { ActiveRequest } from "../../src/pipeline/active_request.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { type ItemStream, runEngine } from "../../src/pipeline/generate.ts";
import type { ValidationMode } from "../../src/pipeline/validate.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { chunk, type GenerateChunk } from "../../src/protocol/output.ts";
import { FakeClock } from "../support/fake_clock.ts";

const BODY = { token_ids: [1, 2, 3], stop_conditions: {} };

function open(generate: unknown, mode: ValidationMode = "throw", body: () => unknown = () => BODY) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const metrics = createMetrics({ instanceId: 1n, now: () => 0 })
    .endpoint({ namespace: "n", component: "c", endpoint: "e" });
  const head = { id: "r", metadata: {} } as ConstructorParameters<typeof ActiveRequest>[0];
  const request = new ActiveRequest(head, {}, createEngineClock(clock), log);
  const run = runEngine({ generate } as Engine, { mode, role: "aggregated", clock, metrics, log });
  return { stream: run(body, request), request, clock, lines };
}

async function readAll(stream: ItemStream): Promise<unknown[]> {
  const items: unknown[] = [];
  for (let item = await stream.next(); item !== null; item = await stream.next()) items.push(item);
  await stream.close();
  return items;
}

const kinds = (items: readonly unknown[]) =>
  items.map((item) => item instanceof DynamoError ? item.kind : (item as GenerateChunk).finish_reason ?? "chunk");

test("the items of an answer are its chunks, to the terminal one", async () => {
  const { stream } = open(async function* () {
    yield chunk.tokens([1]);
    yield chunk.stop();
  });
  assert.deepEqual(kinds(await readAll(stream)), ["chunk", "stop"]);
});

test("nothing happens before the first item is asked for, and a stream that never was is closed at once", async () => {
  let calls = 0;
  const { stream } = open(() => calls++, "throw", () => calls++);
  await stream.close();
  assert.equal(await stream.next(), null);
  assert.equal(calls, 0);
});

test("a synchronous generator is an engine too", async () => {
  const { stream } = open(function* () {
    yield chunk.tokens([1]);
    yield chunk.stop();
  });
  assert.deepEqual(kinds(await readAll(stream)), ["chunk", "stop"]);
});

for (
  const [what, generate] of [
    ["returns nothing", () => undefined],
    ["returns a promise", () => Promise.resolve()],
    ["throws at once", () => {
      throw new Error("broken");
    }],
    ["has a next() that throws", () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => {
          throw new Error("broken");
        },
      }),
    })],
    ["yields nothing at all", async function* () {
      yield undefined;
    }],
  ] as const
) {
  test(`an engine whose generate ${what} fails the answer as Unknown`, async () => {
    const { stream, lines } = open(generate);
    assert.deepEqual(kinds(await readAll(stream)), ["Unknown"]);
    assert.ok(lines.some((line) => line.includes("Engine threw while generating")), lines.join("\n"));
  });
}

test("close() waits for the finally of a generator, once", async () => {
  let ended = 0;
  const { stream } = open(async function* () {
    try {
      yield chunk.tokens([1]);
    } finally {
      await Promise.resolve();
      ended++;
    }
  });
  await stream.next();
  await stream.close();
  await stream.close();
  assert.equal(ended, 1);
  assert.equal(await stream.next(), null);
});

test("close() waits for what was asked of an iterator that cannot be closed", async () => {
  let answer!: (step: IteratorResult<GenerateChunk>) => void;
  const next = () => new Promise<IteratorResult<GenerateChunk>>((resolve) => answer = resolve);
  const { stream } = open(() => ({ [Symbol.asyncIterator]: () => ({ next }) }), "warn");
  const asked = stream.next();
  let isClosed = false;
  const closed = stream.close().then(() => isClosed = true);
  await Promise.resolve();
  assert.equal(isClosed, false);
  answer({ done: false, value: chunk.stop() });
  await Promise.all([asked, closed]);
});

test("the first chunk with tokens is the first token, and an engine may say so before", async () => {
  const { stream, request } = open(async function* () {
    yield chunk.tokens([]);
    yield chunk.tokens([1]);
    yield chunk.stop();
  });
  let told = 0;
  request.onFirstToken(() => told++);
  await stream.next();
  assert.equal(told, 0);
  await stream.next();
  assert.equal(told, 1);
  request.notifyFirstToken();
  assert.equal(told, 1);
  request.onFirstToken(() => told++);
  assert.equal(told, 2);
  await stream.close();
});

test("in mode throw a chunk behind the terminal one takes its place as the error that says so", async () => {
  const { stream } = open(async function* () {
    yield chunk.stop();
    yield chunk.tokens([1]);
  });
  const items = await readAll(stream);
  assert.deepEqual(kinds(items), ["Unknown"]);
  assert.match((items[0] as DynamoError).message, /ChunkAfterTerminal/);
});

test("in mode throw an engine that does not end after its terminal chunk has 2 s to", async () => {
  const { stream, clock } = open(async function* () {
    yield chunk.stop();
    await new Promise(() => {});
  });
  const asked = stream.next();
  await clock.advance(1999);
  assert.equal(await Promise.race([asked, Promise.resolve("held back")]), "held back");
  await clock.advance(1);
  assert.deepEqual(kinds([await asked]), ["stop"]);
  assert.equal(clock.pendingTimers, 0);
});

test("in mode throw an engine that throws after its terminal chunk has still said it, and the log tells", async () => {
  const { stream, lines, clock } = open(async function* () {
    yield chunk.stop();
    throw new Error("too late");
  });
  assert.deepEqual(kinds(await readAll(stream)), ["stop"]);
  assert.ok(lines.some((line) => line.includes("too late")));
  assert.equal(clock.pendingTimers, 0);
});

test("an engine that throws because it was aborted says nothing", async () => {
  const { stream, request, lines } = open(async function* (_: unknown, { signal }: { signal: AbortSignal }) {
    yield chunk.tokens([1]);
    signal.throwIfAborted();
  });
  await stream.next();
  request.abort("kill");
  assert.equal(await stream.next(), null);
  assert.deepEqual(lines, []);
});

test("a body that is no request is the frontend's fault: the engine is not asked", async () => {
  let calls = 0;
  const { stream } = open(() => calls++, "throw", () => ({}));
  const [error] = await readAll(stream) as DynamoError[];
  assert.equal(error?.kind, "InvalidArgument");
  assert.equal(calls, 0);
});
