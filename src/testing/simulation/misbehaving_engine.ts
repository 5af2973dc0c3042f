/**
 * Makes an engine misbehave as a plan says.
 *
 * @module
 */
import type { GenerateContext } from "../../engine/context.ts";
import type { Engine } from "../../engine/engine.ts";
import { DynamoError } from "../../protocol/error.ts";
import { chunk, type GenerateChunk } from "../../protocol/output.ts";
import type { GenerateRequest } from "../../protocol/request.ts";
import type { HookPlan, LifePlan, StreamPlan } from "./life_plan.ts";
import type { Timeline } from "./timeline.ts";

/** Time between two tokens of an engine that ignores its abort. @unit milliseconds */
const DEAF_PACE_MS = 150;
/** Tokens that come without a pause. */
const BURST_TOKENS = 300;

/** A promise of its own for each, since one that lives for ever keeps all who wait for it. */
const never = (): Promise<never> => new Promise(() => {});

/** An engine that behaves like the given one, but for what the plan says. */
export function misbehave(engine: Engine, plan: Pick<LifePlan, "hooks" | "requests">, timeline: Timeline): Engine {
  const { hooks } = plan;
  const streams = new Map(plan.requests.map(({ id, stream }) => [id, stream]));
  const before = async (hook: HookPlan): Promise<void> => {
    if (hook.kind === "slow") await new Promise<void>((resolve) => timeline.after(hook.ms, resolve, "engine"));
    if (hook.kind === "hang") await never();
    if (hook.kind === "throw") throw new Error("planned");
  };
  return {
    ...engine,
    async start(workerId, signal, ctx) {
      await before(hooks.start);
      return await engine.start(workerId, signal, ctx);
    },
    generate(request, ctx) {
      const stream = streams.get(ctx.id);
      if (stream === undefined || stream.kind === "none") return engine.generate(request, ctx);
      return misbehavingStream(engine, request, ctx, stream);
    },
    async abort(ctx) {
      await before(hooks.abort);
      await engine.abort?.(ctx);
    },
    async drain(signal) {
      await before(hooks.drain);
      await engine.drain?.(signal);
    },
    async cleanup() {
      await before(hooks.cleanup);
      await engine.cleanup();
    },
  };
}

async function* misbehavingStream(
  engine: Engine,
  request: GenerateRequest,
  ctx: GenerateContext,
  plan: StreamPlan,
): AsyncGenerator<GenerateChunk, void> {
  const { kind, afterChunks, ms } = plan;
  if (kind === "empty") return;
  if (kind === "slow_finally") return yield* slowly(engine.generate(request, ctx), ctx, ms);
  let count = 0;
  for await (const piece of engine.generate(request, ctx)) {
    if (count++ === afterChunks) yield* interlude(kind, ctx, ms, piece);
    const isLast = piece.finish_reason !== undefined && piece.finish_reason !== null;
    if (isLast && kind === "no_terminal") return;
    yield piece;
    if (isLast && kind === "throw_after_terminal") throw new Error("planned");
    if (isLast && kind === "extra_after_terminal") yield chunk.stop(undefined, [1, 2, 3]);
  }
}

async function* slowly(
  stream: AsyncIterable<GenerateChunk>,
  { clock }: GenerateContext,
  ms: number,
): AsyncGenerator<GenerateChunk, void> {
  try {
    yield* stream;
  } finally {
    await clock.sleepUntil(clock.now() + ms);
  }
}

/** What a stream does in the middle. */
async function* interlude(
  kind: StreamPlan["kind"],
  { clock }: GenerateContext,
  ms: number,
  next: GenerateChunk,
): AsyncGenerator<GenerateChunk, void> {
  const [token = 0] = next.token_ids;
  switch (kind) {
    case "throw":
      throw new Error("planned");
    case "invalid":
      throw new DynamoError("InvalidArgument", "planned");
    case "bad_chunk":
      return yield { token_ids: [-1] };
    case "hang":
      return await never();
    case "burst":
      for (let i = 0; i < BURST_TOKENS; i++) yield chunk.tokens([token]);
      return;
    case "ignore_abort":
      for (const end = clock.now() + ms; clock.now() < end;) {
        yield chunk.tokens([token]);
        await clock.sleepUntil(clock.now() + DEAF_PACE_MS);
      }
  }
}
