/**
 * Log lines.
 *
 * @module
 */

/** How much a line matters. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Values that belong to a line, by name. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Takes log lines; which of them are shown is decided by `DYN_LOG`. */
export interface Log {
  /** Detail of one request. */
  debug(message: string, fields?: LogFields): void;
  /** A step in the worker's life. */
  info(message: string, fields?: LogFields): void;
  /** Something is wrong, and the worker goes on. */
  warn(message: string, fields?: LogFields): void;
  /** Something is lost. */
  error(message: string, fields?: LogFields): void;
}

const ORDER: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** Settings of a log. */
export interface LogOptions {
  /** Least level shown. @default "info" @env DYN_LOG */
  readonly level?: LogLevel;
  /** Unix time of a line. @unit milliseconds */
  readonly wallTime: () => number;
  /** Takes finished lines, without a line break. */
  readonly write: (line: string) => void;
}

/** Makes a log of readable lines: time, level, message, `name=value` fields. */
export function createLog(options: LogOptions): Log {
  const least = ORDER.indexOf(options.level ?? "info");
  const line = (level: LogLevel) => (message: string, fields: LogFields = {}) => {
    if (ORDER.indexOf(level) < least) return;
    const time = new Date(options.wallTime()).toISOString();
    const tail = Object.entries(fields).map(([name, value]) => ` ${name}=${formatValue(value)}`).join("");
    options.write(`${time} ${level.toUpperCase().padStart(5)} ${message}${tail}`);
  };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

/** The default level of a `DYN_LOG` filter: its directive without a target. */
export function parseLogLevel(filter: string | undefined): LogLevel {
  const wanted = (filter ?? "").split(",").map((part) => part.trim().toLowerCase()).find((part) => !part.includes("="));
  if (wanted === "off") return "error";
  return ORDER.find((level) => level === wanted) ?? "info";
}

/** A log that shows nothing. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

function formatValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(`${value.name}: ${value.message}`);
  if (typeof value === "string") return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
