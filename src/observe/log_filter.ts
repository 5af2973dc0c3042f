/**
 * Which log lines are shown: `DYN_LOG`.
 *
 * @module
 */

/** How much a line matters. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Levels, the least important first. */
export const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** What is shown, by target. */
export interface LogFilter {
  /** The least level shown of a target; `off` shows nothing. */
  least(target: string): LogLevel | "off";
  /** Directives that make no sense and are not in force, as they were given. */
  readonly rejected: readonly string[];
}

interface Directive {
  /** Empty for all targets. */
  readonly target: string;
  readonly least: LogLevel | "off";
}

/** Segments joined by `::`; a span or a field in brackets, which the reference takes too, is none. */
const TARGET = /^[\w.-]+(?:::[\w.-]+)*$/;

/**
 * Parses directives joined by commas: `level` for everything, `target=level` for a target and those below it. The
 * directive with the longest target counts, and the later one of two with the same.
 *
 * @param fallback What is shown of targets that no directive names. The reference shows nothing of them once any
 * directive names a target; its targets have other names, so such a filter would silence this worker.
 * @source dynamo-runtime 1.6.1, `logging.rs`, `filters`: the grammar of `EnvFilter`, without spans and fields
 */
export function parseLogFilter(text: string, fallback: LogLevel = "info"): LogFilter {
  const directives: Directive[] = [{ target: "", least: fallback }];
  const rejected: string[] = [];
  for (const part of text.split(",").map((one) => one.trim()).filter((one) => one !== "")) {
    const directive = parseDirective(part);
    if (directive === null) rejected.push(part);
    else directives.push(directive);
  }
  return {
    rejected,
    least(target: string): LogLevel | "off" {
      let chosen = directives[0]!;
      for (const directive of directives) {
        if (directive.target.length >= chosen.target.length && covers(directive.target, target)) chosen = directive;
      }
      return chosen.least;
    },
  };
}

function parseDirective(text: string): Directive | null {
  const equals = text.indexOf("=");
  const target = equals < 0 ? "" : text.slice(0, equals).trim();
  if (equals >= 0 && !TARGET.test(target)) return null;
  const word = text.slice(equals + 1).trim().toLowerCase();
  const least = word === "off" ? word : LOG_LEVELS.find((level) => level === word);
  return least === undefined ? null : { target, least };
}

function covers(prefix: string, target: string): boolean {
  return prefix === "" || prefix === target || target.startsWith(`${prefix}::`);
}
