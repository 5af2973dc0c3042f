/**
 * Log lines as text: for people, or a JSON object a line.
 *
 * @module
 */
import type { LogLevel } from "./log_filter.ts";
import type { LogRequestFields } from "./log_request.ts";
import { jsonValue, plainText, readableValue } from "./log_value.ts";

/** How lines look. */
export type LogFormat = "readable" | "jsonl";

/** One line before it is text. */
export interface LogRecord {
  /** Unix time. @unit milliseconds, fractional */
  readonly time: number;
  /** Offset of the local time from UTC, for people. @unit minutes, east positive; `null` for UTC */
  readonly utcOffset: number | null;
  /** How much it matters. */
  readonly level: LogLevel;
  /** Which part of the program speaks; may be empty. */
  readonly target: string;
  /** What happened. */
  readonly message: string;
  /** Values that belong to the event. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What says which request it is about. */
  readonly request: LogRequestFields;
}

/** The format that a word names; `null` if it names none. @source dynamo-runtime 1.6.1, `config.rs`, `ConsoleLogFormat` */
export function parseLogFormat(word: string): LogFormat | null {
  const name = word.trim().toLowerCase();
  return name === "readable" || name === "jsonl" ? name : null;
}

/**
 * `time LEVEL target: message name=value`, with the fields in the order in which they were given, the request's last.
 *
 * @source dynamo-runtime 1.6.1, `logging.rs`: the compact form of tracing-subscriber
 */
export function formatReadable(record: LogRecord): string {
  const tail = readableFields(record).map(([name, value]) => ` ${name}=${value}`).join("");
  const target = record.target === "" ? "" : `${plainText(record.target)}: `;
  return `${time(record)} ${levelName(record)} ${target}${plainText(record.message)}${tail}`;
}

const COLORS: Readonly<Record<LogLevel, number>> = { trace: 35, debug: 34, info: 32, warn: 33, error: 31 };
const dim = (text: string): string => `\x1b[2m${text}\x1b[0m`;

/** {@linkcode formatReadable} for a terminal with colours; they are those of the reference. */
export function formatColored(record: LogRecord): string {
  const tail = readableFields(record).map(([name, value]) => ` \x1b[3m${name}\x1b[0m${dim("=")}${value}`).join("");
  const target = record.target === "" ? "" : `${dim(plainText(record.target))}${dim(":")} `;
  const level = `\x1b[${COLORS[record.level]}m${levelName(record)}\x1b[0m`;
  return `${dim(time(record))} ${level} ${target}${plainText(record.message)}${tail}`;
}

/** The members of every object, which fields cannot take. */
const RESERVED = ["time", "level", "file", "line", "target", "message"];

/**
 * An object: time, level, target and message, then all fields sorted by name. The time is UTC.
 *
 * @source dynamo-runtime 1.6.1, `logging.rs`, `JsonLog`; `file` and `line` are optional there too
 */
export function formatJsonl(record: LogRecord): string {
  const members = [
    ["time", JSON.stringify(time({ ...record, utcOffset: null }))],
    ["level", JSON.stringify(record.level.toUpperCase())],
    ["target", jsonValue(record.target)],
    ["message", jsonValue(record.message)],
  ];
  const fields = allFields(record).map(([name, given]) => ({ name: memberName(name), given }));
  for (const { name, given } of fields.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const value = jsonValue(given);
    if (value !== undefined) members.push([name, value]);
  }
  return `{${members.map(([name, value]) => `${jsonValue(name)}:${value}`).join(",")}}`;
}

function memberName(name: string): string {
  return RESERVED.includes(name) ? `field.${name}` : name;
}

function readableFields(record: LogRecord): [name: string, value: string][] {
  return allFields(record).flatMap(([name, given]) => {
    const value = readableValue(given);
    return value === undefined ? [] : [[readableValue(name)!, value]];
  });
}

/** The event's fields, then the request's, which win. */
function allFields({ fields, request }: LogRecord): [name: string, value: unknown][] {
  const names = Object.keys(fields).filter((name) => !Object.hasOwn(request, name));
  return [...names.map((name): [string, unknown] => [name, read(fields, name)]), ...Object.entries(request)];
}

/** A field's value; it may have to be computed, and fail. */
function read(fields: Readonly<Record<string, unknown>>, name: string): unknown {
  try {
    return fields[name];
  } catch (error) {
    return error;
  }
}

function levelName({ level }: LogRecord): string {
  return level.toUpperCase().padStart(5);
}

const US_PER_MS = 1000;
const MS_PER_MINUTE = 60_000;

/** ISO 8601 with microseconds. */
function time({ time, utcOffset }: LogRecord): string {
  const micros = Math.round(time * US_PER_MS);
  const whole = Math.floor(micros / US_PER_MS);
  const text = new Date(whole + (utcOffset ?? 0) * MS_PER_MINUTE).toISOString().slice(0, -1);
  const fraction = String(micros - whole * US_PER_MS).padStart(3, "0");
  return `${text}${fraction}${utcOffset === null ? "Z" : offset(utcOffset)}`;
}

function offset(minutes: number): string {
  const digits = (value: number) => String(value).padStart(2, "0");
  const whole = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${digits(Math.floor(whole / 60))}:${digits(Math.floor(whole % 60))}`;
}
