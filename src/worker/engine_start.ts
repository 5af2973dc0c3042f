/**
 * The engine loads.
 *
 * @module
 */
import type { EngineClock, StartContext } from "../engine/context.ts";
import type { Engine, EngineConfig } from "../engine/engine.ts";
import type { Log } from "../observe/log.ts";
import { createEngineLog } from "../pipeline/engine_log.ts";
import type { Clock } from "../platform/platform.ts";
import { DynamoError, invalidArgument } from "../protocol/error.ts";
import { hexId } from "../protocol/record.ts";
import { aborted, type ShutdownBudget } from "./shutdown.ts";

/** What {@linkcode startEngine} works with. */
export interface EngineStartParts {
  /** The engine. */
  readonly engine: Engine;
  /** Identity of the worker in discovery. */
  readonly instanceId: bigint;
  /** Aborts when the worker is told to stop. */
  readonly stop: AbortSignal;
  /** Time that is left once it is. */
  readonly budget: ShutdownBudget;
  /** Time. */
  readonly clock: Clock;
  /** The same for the engine. */
  readonly engineClock: EngineClock;
  /** Log of the engine. */
  readonly engineLog: Log;
  /** Log. */
  readonly log: Log;
}

/** Time between two lines about an engine that is still starting. @unit milliseconds */
const CHECKPOINT_MS = 30_000;

/**
 * Starts the engine; `null` if it gave up because the worker is to stop, or did not end in time.
 *
 * @throws {DynamoError} `EngineShutdown` if it fails, `InvalidArgument` if it names no model.
 */
export async function startEngine(parts: EngineStartParts): Promise<EngineConfig | null> {
  const { engine, instanceId, stop, budget, clock, log } = parts;
  const begunAt = clock.now();
  const elapsed = () => ({ after_ms: Math.round(clock.now() - begunAt) });
  log.info("Starting engine", { instance: hexId(instanceId) });
  using _checkpoints = repeat(clock, () => log.info("Engine is still starting", elapsed()));
  const context: StartContext = { clock: parts.engineClock, log: createEngineLog(parts.engineLog) };
  const started = Promise.resolve().then(() => engine.start(instanceId, stop, context));
  // Only a signal starts the deadline: until then a model may load for as long as it takes.
  const late = aborted(stop).then(() => budget.run("start", () => started)).then(() => null);
  try {
    const config = await Promise.race([started, late]);
    if (config === null) return null;
    if (typeof config?.model !== "string" || config.model === "") {
      throw invalidArgument("engine.start() returned no model name");
    }
    log.info("Engine started", { model: config.model, ...elapsed() });
    return config;
  } catch (error) {
    if (stop.aborted) return null;
    if (error instanceof DynamoError) throw error;
    const { message } = DynamoError.from(error);
    throw new DynamoError("EngineShutdown", `engine.start() failed: ${message}`, { cause: error });
  }
}

/** Calls `run` again and again, until disposed. */
function repeat(clock: Clock, run: () => void): Disposable {
  let timer: Disposable;
  const arm = (): void => {
    timer = clock.timer(CHECKPOINT_MS, () => {
      run();
      arm();
    });
  };
  arm();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
