/**
 * The log of engines, over the worker's.
 *
 * @module
 */
import type { EngineLog } from "../engine/log.ts";
import type { Log, LogRequest } from "../observe/log.ts";

/**
 * Makes the log that an engine gets for its life, or for one request: then lines carry its ids as the worker's own do.
 * Nothing else of the worker's log is in an engine's reach.
 *
 * @param request What the lines are about. @default no request
 */
export function createEngineLog(log: Log, request?: LogRequest): EngineLog {
  return {
    debug: (message, fields) => log.debug(message, fields, request),
    info: (message, fields) => log.info(message, fields, request),
    warn: (message, fields) => log.warn(message, fields, request),
    error: (message, fields) => log.error(message, fields, request),
  };
}
