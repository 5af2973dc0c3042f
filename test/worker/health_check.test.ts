import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleEngine } from "../../engines/sample.ts";
import type { Engine, JsonObject } from "../../src/engine/engine.ts";
import { createLog, SILENT } from "../../src/observe/log.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import type { WorkerType } from "../../src/protocol/model_card.ts";
import { chunk, type GenerateChunk } from "../../src/protocol/output.ts";
import { openCanary } from "../../src/worker/health_check.ts";
import { FakeClock } from "../support/fake_clock.ts";

const PAYLOAD: JsonObject = { token_ids: [1], stop_conditions: { max_tokens: 1 } };

interface Faults {
  isHanging: boolean;
  isDeaf: boolean;
  isFailing: boolean;
}

/** A sample engine that counts open streams and can be broken while it runs. */
function breakable(members: Partial<Engine> = {}) {
  const faults: Faults = { isHanging: false, isDeaf: false, isFailing: false };
  const streams = { open: 0, begun: 0 };
  const sample = sampleEngine();
  const engine: Engine = {
    ...sample,
    healthCheckPayload: () => PAYLOAD,
    async *generate(request, context): AsyncGenerator<GenerateChunk> {
      streams.open++;
      streams.begun++;
      try {
        if (faults.isFailing) throw new Error("device lost");
        if (faults.isHanging) await context.clock.sleepUntil(Infinity, faults.isDeaf ? undefined : context.signal);
        if (context.signal.aborted) return yield chunk.cancelled();
        yield* sample.generate(request, context);
      } finally {
        streams.open--;
      }
    },
    ...members,
  };
  return { engine, faults, streams };
}

function open(engine: Engine, { role = "aggregated" as WorkerType, healthCheckEnabled = true } = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const canary = openCanary({
    options: { healthCheckEnabled, canaryWaitSeconds: 10, healthCheckTimeoutSeconds: 3 },
    setPayload: null,
    engine,
    role,
    clock,
    engineClock: createEngineClock(clock),
    engineLog: SILENT,
    log: createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) }),
  });
  canary?.start();
  return { clock, canary, lines };
}

test("off: there is no canary, no timer, and the engine is not asked for a payload", () => {
  const { engine } = breakable({ healthCheckPayload: () => assert.fail("asked") });
  const { canary, clock, lines } = open(engine, { healthCheckEnabled: false });
  assert.deepEqual([canary, clock.pendingTimers, lines], [null, 0, []]);
});

test("on, but nothing to send: there is no canary, and a line says so", () => {
  const { engine } = breakable({ healthCheckPayload: () => null });
  const { canary, clock, lines } = open(engine);
  assert.deepEqual([canary, clock.pendingTimers], [null, 0]);
  assert.deepEqual(lines.filter((line) => line.includes("no payload")).length, 1);
});

test("an engine that breaks and recovers is seen to, and keeps no stream", async () => {
  const { engine, faults, streams } = breakable();
  const { canary, clock } = open(engine);
  await clock.advance(10_010);
  assert.deepEqual([canary!.isReady, streams.begun, streams.open], [true, 1, 0]);
  faults.isFailing = true;
  await clock.advance(10_000);
  assert.deepEqual([canary!.isReady, canary!.reason], [false, "request failed: Error: device lost"]);
  faults.isFailing = false;
  await clock.advance(10_000);
  assert.equal(canary!.isReady, true);
  faults.isHanging = true;
  await clock.advance(12_990);
  assert.deepEqual([canary!.reason, streams.open], ["timeout after 3 s", 0]);
  faults.isHanging = false;
  canary!.active();
  assert.equal(canary!.isReady, true);
  await canary!.stop();
  assert.deepEqual([clock.pendingTimers, streams.open, streams.begun], [0, 0, 4]);
});

test("an engine that is deaf to its signal is left after 3 s, and stop() after 2 s more", async () => {
  const { engine, faults, streams } = breakable();
  Object.assign(faults, { isHanging: true, isDeaf: true });
  const { canary, clock, lines } = open(engine);
  await clock.advance(13_000);
  assert.deepEqual([canary!.reason, streams.open], ["timeout after 3 s", 1]);
  let isOver = false;
  canary!.stop().then(() => isOver = true);
  await clock.advance(2000);
  assert.equal(isOver, true);
  assert.equal(lines.filter((line) => line.includes("detached")).length, 1);
});

test("an answer without tokens is healthy for an encode worker only", async () => {
  for (const [role, isReady] of [["encode", true], ["aggregated", false], ["prefill", false]] as const) {
    const { engine } = breakable({
      async *generate(): AsyncGenerator<GenerateChunk> {
        yield await Promise.resolve(chunk.stop());
      },
    });
    const { canary, clock } = open(engine, { role });
    await clock.advance(10_000);
    assert.equal(canary!.isReady, isReady, role);
  }
});
