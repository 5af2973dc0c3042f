/**
 * The log of a worker.
 *
 * @module
 */
import { createLog, type Log, parseLogFormat } from "../observe/log.ts";
import type { Platform } from "../platform/platform.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

/** The log that the options ask for, on standard error. */
export function openLog({ clock, process }: Platform, options: ResolvedWorkerOptions): Log {
  const { logFilter, logFormat, logJsonl, logLocalTime, logPlain } = options;
  const format = parseLogFormat(logFormat ?? (logJsonl ? "jsonl" : "readable"));
  const log = createLog({
    filter: logFilter,
    format: format ?? "readable",
    isColored: process.isErrorTerminal === true && logPlain !== true,
    target: "stator",
    wallTime: () => clock.wallTime(),
    ...(logLocalTime ? { utcOffset: (time: number) => -new Date(time).getTimezoneOffset() } : {}),
    write: (line) => process.printError(line),
  });
  // A log that looks different is no reason not to serve, to Dynamo's workers neither.
  if (format === null) log.warn("DYN_LOGGING_CONSOLE_FORMAT is neither readable nor jsonl", { value: logFormat });
  if ((process.env.DYN_LOGGING_CONFIG_PATH ?? "") !== "") {
    log.warn("DYN_LOGGING_CONFIG_PATH is set, but this worker reads no logging configuration: use DYN_LOG");
  }
  return log;
}
