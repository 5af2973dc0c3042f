import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleEngine } from "@stator/worker/engines/sample";
import { assertConformance, ConformanceError } from "../../src/testing/conformance_report.ts";
import { runConformance } from "../../src/testing/mod.ts";
import { changed, engine, failures, find, forEver, good, HOUR, run } from "../support/kit_rig.ts";

for (const role of ["agg", "prefill", "decode", "encode"] as const) {
  test(`runConformance() passes the sample engine as ${role}`, async () => {
    const factory = () => sampleEngine({ disaggregationMode: role });
    const report = await runConformance(factory, { role, throw: true });
    const skipped = report.checks.filter(({ status }) => status !== "passed").map(({ name }) => name);
    const forTokens = role === "encode" ? ["max_tokens", "usage", "log_probs", "cancellation_mid_stream"] : [];
    assert.deepEqual(skipped, ["forward_passes", ...forTokens, "drain"]);
  });
}

test("runConformance() is done at once with an engine that takes ten seconds a token", async () => {
  const begin = performance.now();
  assertConformance(await runConformance(() => sampleEngine({ delay: 10 })));
  assert.ok(performance.now() - begin < 5000);
});

test("runConformance() waits as long as the engine does when told to", async () => {
  const sped = await run(() => engine(), {}, 1);
  const waited = await run(() => engine(), { realTime: true }, 1);
  assert.deepEqual([sped.ok, waited.ok], [true, true]);
  // Eight tokens, ten milliseconds each, on a clock that only the test moves.
  assert.ok(find(waited, "generate").durationMs >= 80);
  assert.ok(find(sped, "generate").durationMs < 80);
});

test("runConformance() gives a call as long as it is told to", async () => {
  const report = await run(() => engine({ start: () => forEver }), { timeoutSeconds: 0.5 });
  assert.match(find(report, "start").message, /within 0\.5 s/);
  assert.ok(find(report, "start").durationMs < 1000);
});

test("runConformance() calls the hooks as a worker does", async () => {
  const calls: string[] = [];
  const engines: number[] = [];
  const report = await run(() => {
    const id = engines.push(engines.length);
    return engine({
      start(workerId, _signal, { clock, log }) {
        log.info("starting", { at: clock.now() });
        calls.push(`start ${id} ${workerId}`);
        return Promise.resolve({ model: "m" });
      },
      abort: (ctx) => void calls.push(`abort ${ctx.signal.aborted}`),
      drain: () => void calls.push(`drain ${id}`),
      cleanup: () => void calls.push(`cleanup ${id}`),
    });
  });
  assert.equal(report.ok, true);
  const aborts = ["abort true", "abort true", "abort true"];
  assert.deepEqual(calls, ["start 1 0", ...aborts, "drain 1", "cleanup 1", "cleanup 1", "cleanup 2"]);
});

test("runConformance() owes a cleanup after a failed start too", async () => {
  let cleanups = 0;
  const report = await run(() =>
    engine({ start: () => Promise.reject(new Error("no")), cleanup: () => void cleanups++ })
  );
  assert.deepEqual(failures(report), { start: "StartFailed" });
  assert.equal(cleanups, 3);
  assert.match(find(report, "cancellation_mid_stream").message, /not run, since cancellation did not pass/);
});

test("runConformance() fails a factory that throws, that hangs, or that makes one engine only", async () => {
  const throws = await run(() => Promise.reject(new Error("no model")));
  assert.deepEqual(failures(throws), { start: "StartFailed" });
  assert.match(find(throws, "start").message, /the factory threw: Error: no model/);
  const hangs = await run(() => forEver);
  assert.match(find(hangs, "start").message, /the factory made no engine within 30 s/);
  const only = engine();
  const same = await run(() => only);
  assert.deepEqual(failures(same), { cleanup_without_start: "CleanupWithoutStartFailed" });
  assert.match(find(same, "cleanup_without_start").message, /same engine twice/);
});

test("an engine without usage and log-probabilities passes; these checks do not apply", async () => {
  const bare = changed(({ token_ids, finish_reason }) => ({ token_ids, finish_reason }));
  const report = await run(() => engine({ generate: bare }));
  assert.equal(report.ok, true);
  assert.equal(find(report, "usage").status, "not_applicable");
  assert.equal(find(report, "log_probs").status, "not_applicable");
});

test("a stream that was given up does nothing more, so that it disturbs no later check", async () => {
  let sleeps = 0;
  const report = await run(() =>
    engine({
      async *generate(request, ctx) {
        if (!ctx.signal.aborted) return yield* good(request, ctx);
        for (;;) {
          await ctx.clock.sleepUntil(ctx.clock.now() + HOUR);
          sleeps++;
        }
      },
    })
  );
  assert.deepEqual(failures(report), { cancellation: "CancellationNotObserved" });
  assert.equal(find(report, "early_return").status, "passed");
  assert.ok(sleeps < 20, `it slept ${sleeps} times`);
});

test("options.request reaches every request", async () => {
  const seen = new Set<unknown>();
  const prefill_result = { disaggregated_params: { slot: 7 } };
  const report = await run(() =>
    engine({
      generate: (request, ctx) => {
        seen.add(request.prefill_result);
        return good(request, ctx);
      },
    }), { role: "decode", request: { prefill_result } });
  assert.equal(report.ok, true);
  assert.deepEqual([...seen], [prefill_result]);
});

test("assertConformance() and options.throw name what failed", async () => {
  const factory = () => engine({ start: () => Promise.resolve({ model: "" }) });
  const report = await run(factory);
  const expected = (thrown: unknown) => {
    assert.ok(thrown instanceof ConformanceError);
    assert.match(thrown.message, /\(agg\): start: EmptyModelInConfig: start returned/);
    assert.equal(thrown.report.ok, false);
    return true;
  };
  assert.throws(() => assertConformance(report), expected);
  await assert.rejects(run(factory, { throw: true }), expected);
  assertConformance(await run(() => engine()));
});

test("a report is plain data", async () => {
  const report = await run(() => engine());
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
  assert.deepEqual(find(report, "start"), {
    name: "start",
    status: "passed",
    failure: null,
    message: "",
    durationMs: 0,
  });
});
