/** Deno's sanitizers watch a whole worker: every socket, timer and pending operation it opened must be gone again. */
import assert from "node:assert/strict";
import { chunk } from "../../src/protocol/output.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { eventually, probeEngine, startRig } from "../support/worker_rig.ts";

/** A token a turn, without end for prompts that begin with 7. */
function makeEngine() {
  return probeEngine(async function* (request, ctx) {
    const count = request.token_ids[0] === 7 ? Infinity : 20;
    for (let i = 0; i < count; i++) {
      await ctx.clock.sleepUntil(ctx.clock.now() + 1, ctx.signal);
      if (ctx.signal.aborted) return yield chunk.cancelled();
      yield chunk.tokens([i]);
    }
    yield chunk.stop();
  });
}

const ENDLESS = { body: { token_ids: [7], stop_conditions: {} } };

Deno.test("a worker that served, was cancelled and stopped leaves nothing", async () => {
  const { engine, probe } = makeEngine();
  {
    await using rig = await startRig(engine);
    const whole = await Promise.all(Array.from({ length: 8 }, () => rig.send()));
    for (const call of whole) assert.equal((await call.whole()).length, 25);
    const running = await Promise.all(Array.from({ length: 9 }, () => rig.send(ENDLESS)));
    for (const [i, call] of running.entries()) {
      await call.framed(1 + i % 5);
      if (i % 3 === 0) call.say("kill");
      else if (i % 3 === 1) call.reset();
      else call.say("stop");
    }
    await eventually("the generators to end", () => probe.open === 0);
    // Bad requests of every sort.
    rig.link.write(rig.frame({ transport: "quic-response" }), rig.frame({ info: { address: "127.0.0.1:1" } }));
    await rig.link.acked(19);
    await (await rig.send({ body: [] })).over();
    assert.equal((await rig.worker.stop()).exitCode, 0);
  }
  assert.deepEqual([probe.open, probe.cleanups], [0, 1]);
});

Deno.test("a worker that was forced to stop under load leaves nothing", async () => {
  const { engine, probe } = makeEngine();
  {
    await using rig = await startRig(engine);
    const calls = await Promise.all(Array.from({ length: 5 }, () => rig.send(ENDLESS)));
    await Promise.all(calls.map((call) => call.framed(3)));
    rig.worker.stop();
    const stopping = rig.worker.stop();
    await Promise.all(calls.map((call) => call.whole()));
    assert.equal((await stopping).exitCode, 3);
  }
  assert.deepEqual([probe.open, probe.cleanups], [0, 1]);
});

Deno.test("a worker that could not start leaves nothing", async () => {
  const { engine, probe } = probeEngine(async function* () {}, { start: () => Promise.reject(new Error("no")) });
  await assert.rejects(startRig(engine));
  assert.equal(probe.cleanups, 1);
});

Deno.test("a watchdog thread that served and was disposed leaves nothing", async () => {
  const { http, watchdog } = realPlatform;
  const any = { host: "127.0.0.1", port: 0 };
  await using backend = await http.serve(any, () => new Response("here"));
  await using thread = await watchdog!.start();
  const { port } = await thread.serve({
    address: any,
    backend: backend.address,
    maxBodyBytes: 1,
    livePath: "/live",
    healthPath: "/health",
    limitMs: 1000,
    patienceMs: 1000,
    exitMs: 0,
    exitCode: 4,
    lastWords: "",
    uptimeMs: 0,
    state: () => ({ ready: true, endpoints: {}, counts: true }),
    lost: () => assert.fail("the thread was lost"),
  });
  const answers = await Promise.all(["live", "health"].map((path) => fetch(`http://127.0.0.1:${port}/${path}`)));
  assert.match((await Promise.all(answers.map((answer) => answer.text()))).join(), /^\{"status":"ready",.*\},here$/);
});
