/**
 * Workers whose whole life a test watches, and virtual time that passes while real sockets work.
 *
 * @module
 */
import { MemStore } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import type { Clock } from "../../src/platform/platform.ts";
import { chunk } from "../../src/protocol/output.ts";
import { createWorkerOn, type Worker } from "../../src/serve.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { WorkerOutcome } from "../../src/worker/worker.ts";
import type { FakeClock } from "./fake_clock.ts";
import { type Generate, platformWith } from "./worker_rig.ts";

/** Time for what is under way on real sockets. */
export const sockets = () => new Promise<void>((resolve) => setTimeout(resolve, 20));

/** Lets virtual time pass in small steps, with real sockets working in between, until `ask` says so. */
export async function passUntil(clock: FakeClock, what: string, ask: () => boolean, limitMs = 60_000): Promise<void> {
  for (const end = clock.now() + limitMs; !ask();) {
    if (clock.now() > end) throw new Error(`${limitMs} ms of virtual time passed in vain for ${what}`);
    await clock.advance(100);
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }
}

/** How the worker ends, while virtual time passes. */
export async function outcomeOf(clock: FakeClock, stopping: Promise<WorkerOutcome>): Promise<WorkerOutcome> {
  let outcome: WorkerOutcome | null = null;
  stopping.then((value) => outcome = value);
  await passUntil(clock, "the worker to end", () => outcome !== null);
  return await stopping;
}

/** A token every 100 ms for as long as nobody aborts. */
export const endless: Generate = async function* (_request, ctx) {
  for (let i = 1;; i++) {
    yield chunk.tokens([1]);
    await ctx.clock.sleepUntil(ctx.clock.now() + 100, ctx.signal);
    if (ctx.signal.aborted) return yield chunk.cancelled();
  }
};

/** Buckets of the records that a store holds. */
export function keys(store: MemStore): string[] {
  return (["v1/instances", "v1/mdc"] as const).flatMap((bucket) => store.list(bucket).map(({ key }) => key.bucket));
}

/** A worker that is not started, on a store of its own. */
export function makeWorker(
  engine: Engine,
  options: WorkerOptions = {},
  clock: Clock = realPlatform.clock,
): { worker: Worker; store: MemStore; lines: string[] } {
  const store = new MemStore();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  return { worker: createWorkerOn(platformWith({ clock }), engine, options, store, log), store, lines };
}
