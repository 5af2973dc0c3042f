import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chunk,
  defineEngine,
  DynamoError,
  type GenerateContext,
  type GenerateRequest,
  RequestAborted,
} from "@stator/worker";
import { cancellingContext, ClientError, fakeContext, startLoopback } from "@stator/worker/testing";
import { createLog } from "../../src/observe/log.ts";

/** An engine that gives the prompt back, and what it was told. */
function echo(seen: { request?: GenerateRequest; ctx?: GenerateContext; cleanups: number } = { cleanups: 0 }) {
  return defineEngine({
    start: () => Promise.resolve({ model: "echo", contextLength: 4096 }),
    async *generate(request, ctx) {
      Object.assign(seen, { request, ctx });
      for (const id of request.token_ids) {
        await ctx.clock.nextTurn();
        if (ctx.signal.aborted) return yield chunk.cancelled();
        yield chunk.tokens([id]);
      }
      yield chunk.stop();
    },
    cleanup() {
      seen.cleanups++;
    },
  });
}

test("request() brings an engine's chunks over the wire", async () => {
  const seen: Parameters<typeof echo>[0] = { cleanups: 0 };
  await using loopback = await startLoopback(echo(seen));
  assert.equal(loopback.modelName, "echo");
  const body = { token_ids: [1, 2, 300_000], stop_conditions: { max_tokens: 9 } };
  const chunks = await Array.fromAsync(loopback.request(body, { id: "r", metadata: { tenant: "acme" } }));
  assert.deepEqual(chunks.flatMap((one) => [...one.token_ids]), body.token_ids);
  assert.equal(chunks.at(-1)?.finish_reason, "stop");
  assert.deepEqual(seen.request?.token_ids, Uint32Array.from(body.token_ids));
  assert.equal(seen.request?.model, "echo");
  assert.equal(seen.request?.stop_conditions.max_tokens, 9);
  assert.equal(seen.request?.sampling_options.temperature, null);
  assert.equal(seen.ctx?.id, "r");
  assert.deepEqual(seen.ctx?.metadata, { tenant: "acme" });
});

test("the log of a loopback takes what the engine says", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const engine = {
    ...echo(),
    async *generate(_request: GenerateRequest, ctx: GenerateContext) {
      ctx.log.debug("answering");
      yield await Promise.resolve(chunk.stop());
    },
  };
  await using loopback = await startLoopback(engine, { log });
  await Array.fromAsync(loopback.request({ token_ids: [1] }, { id: "r" }));
  assert.equal(lines.filter((line) => line.endsWith("DEBUG stator::engine: answering request_id=r")).length, 1);
});

test("request() throws the engine's error with its class", async () => {
  const engine = {
    ...echo(),
    // deno-lint-ignore require-yield
    async *generate(): AsyncGenerator<never> {
      await Promise.resolve();
      throw new DynamoError("InvalidArgument", "no");
    },
  };
  await using loopback = await startLoopback(engine);
  await assert.rejects(
    Array.fromAsync(loopback.request({ token_ids: [1] })),
    (error) => error instanceof ClientError && error.class === "InvalidRequest" && error.publicMessage === "no",
  );
});

test("a signal reaches the engine as kill", async () => {
  const reason = Promise.withResolvers<unknown>();
  const engine = {
    ...echo(),
    async *generate(_request: GenerateRequest, ctx: GenerateContext) {
      ctx.signal.addEventListener("abort", () => reason.resolve(ctx.signal.reason));
      yield chunk.tokens([1]);
      await ctx.clock.sleepUntil(ctx.clock.now() + 60_000, ctx.signal);
      yield chunk.cancelled();
    },
  };
  await using loopback = await startLoopback(engine);
  const control = new AbortController();
  await assert.rejects(async () => {
    for await (const _chunk of loopback.request({ token_ids: [1] }, { signal: control.signal })) control.abort();
  }, { class: "Cancelled" });
  const seen = await reason.promise;
  assert.ok(seen instanceof RequestAborted);
  assert.equal(seen.reason, "kill");
});

test("disposing the loopback cleans the engine up once, and stop() before it does no harm", async () => {
  const seen = { cleanups: 0 };
  const loopback = await startLoopback(echo(seen));
  assert.equal((await loopback.stop()).exitCode, 0);
  await loopback[Symbol.asyncDispose]();
  assert.equal(seen.cleanups, 1);
});

test("startLoopback() fails with the engine's own error when it cannot start", async () => {
  const seen = { cleanups: 0 };
  const engine = { ...echo(seen), start: () => Promise.reject(new DynamoError("CannotConnect", "no device")) };
  await assert.rejects(startLoopback(engine), { message: /no device/ });
  assert.equal(seen.cleanups, 1);
});

test("fakeContext() is not aborted, cancellingContext() is after its time", async () => {
  assert.equal(fakeContext().signal.aborted, false);
  assert.equal(fakeContext({ id: "x" }).id, "x");
  using never = cancellingContext(60_000);
  assert.equal(never.signal.aborted, false);
  using now = cancellingContext(0, "deadline");
  assert.equal((now.signal.reason as RequestAborted).reason, "deadline");
  using soon = cancellingContext(5);
  await soon.clock.sleepUntil(soon.clock.now() + 60_000, soon.signal);
  assert.equal((soon.signal.reason as RequestAborted).reason, "kill");
});
