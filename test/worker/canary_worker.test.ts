/** The canary in a whole worker: what it does to /health, and what it leaves alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateContext } from "../../src/engine/context.ts";
import { chunk, type GenerateChunk } from "../../src/protocol/output.ts";
import { isProbe } from "../../src/protocol/request.ts";
import { UsageError } from "../../src/worker/command_line.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { platformWith, probeEngine, startRig } from "../support/worker_rig.ts";
import { serveOn } from "../../src/serve.ts";

const CANARY = { healthCheckEnabled: true, healthCheckPayload: { token_ids: [1], stop_conditions: { max_tokens: 1 } } };

function breakable() {
  const state = { isBroken: false, isHanging: false };
  const made = probeEngine(async function* (_request, ctx: GenerateContext): AsyncGenerator<GenerateChunk> {
    if (state.isHanging) await ctx.clock.sleepUntil(Infinity, ctx.signal);
    if (ctx.signal.aborted) return yield chunk.cancelled();
    if (state.isBroken) throw new Error("device lost");
    yield await Promise.resolve(chunk.length(undefined, [1]));
  });
  return { ...made, state };
}

async function asked(address: string | null, path: string): Promise<readonly [number, unknown]> {
  const response = await fetch(`http://${address}${path}`);
  const { status, endpoints } = JSON.parse(await response.text());
  return [response.status, [status, endpoints.generate]];
}

const READY = [200, ["ready", "ready"]];
const NOT_READY = [503, ["notready", "notready"]];

test("without the option an idle worker is ready at once and its engine hears nothing", async () => {
  const { engine, probe } = breakable();
  const clock = new FakeClock();
  await using rig = await startRig(engine, { platform: { clock } });
  assert.deepEqual(await asked(rig.info.systemAddress, "/health"), READY);
  await clock.advance(60_000);
  assert.equal(probe.seen.length, 0);
});

test("/health follows the canary; /live, discovery and request metrics do not", async () => {
  const { engine, probe, state } = breakable();
  const clock = new FakeClock();
  await using rig = await startRig(engine, { platform: { clock }, worker: CANARY });
  const { systemAddress } = rig.info;
  assert.deepEqual(await asked(systemAddress, "/health"), NOT_READY);
  assert.equal((await asked(systemAddress, "/live"))[0], 200);
  assert.equal(rig.store.list("v1/instances").length, 1);
  await clock.advance(10_000);
  assert.deepEqual(await asked(systemAddress, "/health"), READY);
  assert.equal(probe.seen.filter(({ request }) => isProbe(request)).length, 1);
  state.isBroken = true;
  await clock.advance(10_000);
  assert.deepEqual(await asked(systemAddress, "/health"), NOT_READY);
  assert.equal((await asked(systemAddress, "/live"))[0], 200);
  assert.equal(rig.store.list("v1/instances").length, 1);
  const failed = await rig.send();
  await failed.whole();
  assert.deepEqual(await asked(systemAddress, "/health"), NOT_READY, "an error item is no sign of life");
  state.isBroken = false;
  const served = await rig.send();
  await served.whole();
  assert.deepEqual(await asked(systemAddress, "/health"), READY, "one served request is");
  assert.equal(await rig.metric("dynamo_component_requests_total"), 2);
  assert.equal(await rig.metric("dynamo_component_errors_total", 'error_type="generate"'), 1);
});

test("a worker that stops during a probe ends it before cleanup", async () => {
  const { engine, probe, state } = breakable();
  state.isHanging = true;
  const clock = new FakeClock();
  {
    await using _rig = await startRig(engine, { platform: { clock }, worker: CANARY });
    await clock.advance(10_000);
    assert.equal(probe.open, 1);
  }
  assert.deepEqual([probe.open, probe.openAtCleanup, probe.cleanups, probe.aborts], [0, 0, 1, ["health-check-1"]]);
});

test("a payload that cannot be read is bad usage: exit 2, and the engine is not started", async () => {
  const { engine, probe } = breakable();
  const errors: string[] = [];
  const platform = platformWith();
  const told = { ...platform, process: { ...platform.process, printError: (line: string) => void errors.push(line) } };
  assert.equal(await serveOn(told, engine, { argv: ["--health-check-payload", "{"], gateway: false }), 2);
  assert.match(errors.at(-1)!, /^--health-check-payload: the value is no JSON/);
  assert.equal(probe.starts, 0);
  await assert.rejects(
    startRig(engine, { worker: { healthCheckPayload: "@/no/such/file" } }),
    (error: Error) => error.cause instanceof UsageError,
  );
  assert.equal(probe.starts, 0);
});

test("the variables turn it on and set it", async () => {
  const { engine, probe } = breakable();
  const clock = new FakeClock();
  const env = {
    DYN_HEALTH_CHECK_ENABLED: "true",
    DYN_CANARY_WAIT_TIME: "2",
    DYN_HEALTH_CHECK_PAYLOAD: '{"token_ids":[5]}',
  };
  await using _rig = await startRig(engine, { platform: { clock }, env });
  await clock.advance(2000);
  assert.deepEqual(probe.seen.map(({ request }) => Array.from(request.token_ids)), [[5]]);
});
