/**
 * Hooks that the engine may have, called once at the start.
 *
 * @module
 */
import { DynamoError } from "../protocol/error.ts";

/** Calls a hook of the engine. @throws {DynamoError} `EngineShutdown` that names the hook, if it throws. */
export function callHook<T>(hook: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw new DynamoError("EngineShutdown", `engine.${hook}() failed: ${DynamoError.from(cause).message}`, { cause });
  }
}
