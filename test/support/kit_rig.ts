/**
 * Engines that keep the contract or break it in one way, and the conformance kit on a clock that costs no time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { chunk, type GenerateChunk, usage } from "../../src/protocol/output.ts";
import { type ConformanceOptions, runConformanceOn } from "../../src/testing/conformance.ts";
import type { ConformanceRole } from "../../src/testing/conformance_bench.ts";
import type {
  CheckResult,
  ConformanceCheck,
  ConformanceFailure,
  ConformanceReport,
} from "../../src/testing/conformance_report.ts";
import { FakeClock } from "./fake_clock.ts";

/** The generate of an engine. */
export type Generate = Engine["generate"];

/** @unit milliseconds */
export const HOUR = 3_600_000;
/** What a hang waits for. */
export const forEver = new Promise<never>(() => {});

/** Keeps the contract: a token each 10 ms. */
export const good: Generate = async function* (request, ctx) {
  const prompt = request.token_ids.length;
  const most = request.stop_conditions.max_tokens ?? 16;
  for (let i = 1; i <= most; i++) {
    await ctx.clock.sleepUntil(ctx.clock.now() + 10, ctx.signal);
    if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt, i - 1));
    const piece = i === most ? chunk.length(usage(prompt, most), [i]) : chunk.tokens([i]);
    yield request.output_options.logprobs === null ? piece : { ...piece, log_probs: [-1], top_logprobs: [[]] };
  }
};

/** An engine that keeps the contract, except for `members`. */
export function engine(members: Partial<Engine> = {}): Engine {
  return { start: () => Promise.resolve({ model: "m", maxNumSeqs: 16 }), generate: good, cleanup() {}, ...members };
}

/** One whose good chunks are changed on their way. */
export function changed(change: (piece: GenerateChunk) => unknown): Generate {
  return async function* (request, ctx) {
    for await (const piece of good(request, ctx)) yield change(piece) as GenerateChunk;
  };
}

/** Whether a chunk is the last. */
export const isLast = (piece: GenerateChunk) => piece.finish_reason !== undefined;

/** Runs the kit on a clock that moves on whenever nothing else does, so that an engine that hangs costs no time. */
export async function run(
  factory: () => Engine | Promise<Engine>,
  options: ConformanceOptions = {},
  stepMs = 50,
): Promise<ConformanceReport> {
  const clock = new FakeClock();
  const running = runConformanceOn(clock, factory, options);
  let isOver = false;
  running.catch(() => {}).finally(() => isOver = true);
  for (let i = 0; !isOver; i++) {
    assert.ok(i < 50_000, "the kit itself hangs");
    await clock.advance(stepMs);
  }
  assert.equal(clock.pendingTimers, 0, "the kit leaves no timer behind");
  return await running;
}

/** What failed, by check. */
export function failures({ checks }: ConformanceReport): Partial<Record<ConformanceCheck, ConformanceFailure | null>> {
  const bad = checks.filter(({ status }) => status === "failed");
  return Object.fromEntries(bad.map(({ name, failure }) => [name, failure]));
}

/** One result of a report. */
export function find({ checks }: ConformanceReport, name: ConformanceCheck): CheckResult {
  const found = checks.find((check) => check.name === name);
  assert.ok(found, `${name} is reported`);
  return found;
}

/** An engine that is broken in one way. */
export interface Broken {
  readonly check: ConformanceCheck;
  readonly failure: ConformanceFailure;
  readonly message: RegExp;
  readonly make: () => Partial<Engine>;
  readonly role?: ConformanceRole;
}

/** One test for each broken engine: the kit names exactly that failure, and nothing else. */
export function testBroken(engines: Readonly<Record<string, Broken>>): void {
  for (const [name, { check, failure, message, make, role = "agg" }] of Object.entries(engines)) {
    test(`runConformance() says ${failure} when ${name}`, async () => {
      const report = await run(() => engine(make()), { role });
      assert.deepEqual(failures(report), { [check]: failure });
      assert.equal(report.ok, false);
      assert.match(find(report, check).message, message);
    });
  }
}
