/**
 * Log lines.
 *
 * @module
 */
import { LOG_LEVELS, type LogLevel, parseLogFilter } from "./log_filter.ts";
import { formatColored, formatJsonl, formatReadable, type LogFormat } from "./log_format.ts";
import { type LogRequest, type LogRequestFields, requestFields } from "./log_request.ts";
import { readableValue } from "./log_value.ts";

export type { LogLevel } from "./log_filter.ts";
export { type LogFormat, parseLogFormat } from "./log_format.ts";
export type { LogRequest, LogSpan } from "./log_request.ts";

/** Values that belong to a line, by name. Prompts and tokens do not belong to any. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Takes log lines; which of them are shown is decided by `DYN_LOG`.
 *
 * A line about a request takes the request itself and gets its ids from it, which costs nothing when it is not shown.
 */
export interface Log {
  /** Detail of one request. */
  debug(message: string, fields?: LogFields, request?: LogRequest): void;
  /** A step in the worker's life. */
  info(message: string, fields?: LogFields, request?: LogRequest): void;
  /** Something is wrong, and the worker goes on. */
  warn(message: string, fields?: LogFields, request?: LogRequest): void;
  /** Something is lost. */
  error(message: string, fields?: LogFields, request?: LogRequest): void;
  /** The log of a part of the program, such as `stator::pipeline`; see {@linkcode targetLog}. */
  child?(target: string): Log;
  /** The same log, whose lines have fields more; see {@linkcode withFields}. */
  with?(fields: LogFields): Log;
}

/** Settings of a log. */
export interface LogOptions {
  /** Directives, `level` or `target=level`, joined by commas. @default none @env DYN_LOG */
  readonly filter?: string;
  /** Least level shown where no directive of the filter says otherwise. @default "info" */
  readonly level?: LogLevel;
  /** How lines look. @default "readable" @env DYN_LOGGING_CONSOLE_FORMAT */
  readonly format?: LogFormat;
  /** Whether readable lines have colours. @default false */
  readonly isColored?: boolean;
  /** Target of the lines; readable ones show none when it is empty. @default "" */
  readonly target?: string;
  /** Unix time of a line. @unit milliseconds, fractional */
  readonly wallTime: () => number;
  /** Offset of the local time from UTC, for readable lines. @unit minutes, east positive @default UTC @env DYN_LOG_USE_LOCAL_TZ */
  readonly utcOffset?: (wallTime: number) => number;
  /** Takes finished lines, without a line break. */
  readonly write: (line: string) => void;
}

const NO_FIELDS: LogFields = {};
const NO_REQUEST: LogRequestFields = {};
const ignore = (): void => {};

/** Makes a log. Directives of the filter that make no sense are told in one warning, whatever is shown otherwise. */
export function createLog(options: LogOptions): Log {
  const { level: fallback, wallTime, utcOffset, write } = options;
  const filter = parseLogFilter(options.filter ?? "", fallback);
  const format = options.format === "jsonl" ? formatJsonl : options.isColored ? formatColored : formatReadable;

  const line = (
    level: LogLevel,
    target: string,
    always: LogFields = NO_FIELDS,
  ): Log["info"] =>
  (message, given = NO_FIELDS, request) => {
    const time = wallTime();
    const record = { time, utcOffset: utcOffset?.(time) ?? null, level, target, message: messageText(message) };
    let ids = NO_REQUEST;
    let text: string;
    try {
      if (request !== undefined) ids = requestFields(request);
      text = format({ ...record, fields: joinFields(always, given), request: ids });
    } catch (error) {
      // What cannot even be listed must not fail the caller, who has something to say.
      text = format({ ...record, fields: { ...always, unprintable: error }, request: ids });
    }
    write(text);
  };
  const open = (target: string, always: LogFields = NO_FIELDS): Log => {
    const least = filter.least(target);
    const shown = least === "off" ? [] : LOG_LEVELS.slice(LOG_LEVELS.indexOf(least));
    // What is not shown is decided here, once: such a call looks at nothing that it is given.
    const method = (level: LogLevel) => shown.includes(level) ? line(level, target, always) : ignore;
    return {
      debug: method("debug"),
      info: method("info"),
      warn: method("warn"),
      error: method("error"),
      child: (below) => open(below, always),
      with: (fields) => open(target, { ...always, ...fields }),
    };
  };

  const target = options.target ?? "";
  if (filter.rejected.length > 0) {
    line("warn", target)("Ignoring log directives that are neither level nor target=level", {
      directives: filter.rejected.join(", "),
    });
  }
  return open(target);
}

/** Types do not hold an engine in JavaScript back from logging an error as it is. */
function messageText(message: unknown): string {
  return typeof message === "string" ? message : readableValue(message) ?? "undefined";
}

/** Fields that are computed stay so: one that fails must not cost the others. */
function joinFields(always: LogFields, given: LogFields): LogFields {
  if (always === NO_FIELDS) return given;
  return Object.defineProperties({ ...always }, Object.getOwnPropertyDescriptors(given));
}

/** A log whose lines carry a target; the log itself if it has no use for one. */
export function targetLog(log: Log, target: string): Log {
  return log.child?.(target) ?? log;
}

/** A log whose lines have fields more; the log itself if it has no use for them. */
export function withFields(log: Log, fields: LogFields): Log {
  return log.with?.(fields) ?? log;
}

/** A log that shows nothing. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };
