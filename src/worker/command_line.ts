/**
 * Option rows as a command line, an environment, a help text and a table.
 *
 * @module
 */
import type { EngineModule } from "../engine/engine.ts";
import type { OptionRow, OptionValues } from "../engine/option.ts";
import { DynamoError } from "../protocol/error.ts";

/** Bad usage: an unknown option, or a value that cannot be parsed. Its message is one line with the fix. */
export class UsageError extends Error {
  /** Makes an error. */
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** Tells in one line why a command ended before its work began; returns its exit code. */
export function reportFailure(error: unknown, printError: (line: string) => void): number {
  if (error instanceof UsageError) {
    printError(`${error.message} (--help lists the options)`);
    return 2;
  }
  const { kind, message } = DynamoError.from(error);
  printError(`${kind}: ${message}`);
  return 1;
}

const TRUE = ["1", "true", "on", "yes"];
const FALSE = ["0", "false", "off", "no", ""];

/**
 * Parses flags into values; `--flag value`, `--flag=value`, `--flag` and `--no-flag` for booleans.
 *
 * @throws {UsageError} If an option is unknown or its value cannot be parsed.
 */
export function parseFlags(rows: readonly OptionRow[], argv: readonly string[]): OptionValues {
  const byFlag = new Map(rows.flatMap((row) => spellings(row).map((flag) => [flag, row] as const)));
  const values: Record<string, unknown> = {};
  const spelled = new Map<OptionRow, string>();
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = splitFlag(argv[i]!);
    const row = byFlag.get(name);
    const negated = row === undefined && name.startsWith("no-") ? byFlag.get(name.slice(3)) : undefined;
    if (row !== undefined) checkSpelling(spelled, row, name);
    if (negated?.type === "boolean" && inline === undefined) {
      values[negated.key] = false;
    } else if (row === undefined) {
      throw new UsageError(`unknown option --${name}${closest(name, [...byFlag.keys()])}`);
    } else if (row.type === "boolean" && inline === undefined) {
      const word = argv[i + 1]?.toLowerCase() ?? "";
      const hasWord = word !== "" && [...TRUE, ...FALSE].includes(word);
      values[row.key] = hasWord ? TRUE.includes(word) : true;
      if (hasWord) i++;
    } else {
      const text = inline ?? argv[++i];
      if (text === undefined) throw new UsageError(`--${name} needs a value: ${row.help}`);
      values[row.key] = parseValue(row, text, `--${name}`);
    }
  }
  return values;
}

function spellings({ flag, aliases = [] }: OptionRow): readonly string[] {
  return flag === undefined ? [] : [flag, ...aliases];
}

function checkSpelling(spelled: Map<OptionRow, string>, row: OptionRow, name: string): void {
  const before = spelled.get(row) ?? name;
  if (before !== name) throw new UsageError(`--${before} and --${name} are one option; give only --${row.flag}`);
  spelled.set(row, name);
}

/** What to tell those who set options that go away. */
export function deprecations(rows: readonly OptionRow[], given: OptionValues): string[] {
  return rows.flatMap(({ key, flag, deprecated }) =>
    deprecated === undefined || given[key] === undefined ? [] : [`--${flag} is deprecated; give ${deprecated}`]
  );
}

function splitFlag(argument: string): readonly [string, string | undefined] {
  if (!argument.startsWith("--") || argument === "--") {
    throw new UsageError(`unexpected argument ${JSON.stringify(argument)}; options start with --`);
  }
  const equals = argument.indexOf("=");
  return equals < 0 ? [argument.slice(2), undefined] : [argument.slice(2, equals), argument.slice(equals + 1)];
}

/**
 * Completes values: what is given, then the environment, then `defaults`, then the rows' own.
 *
 * A number in the environment that cannot be parsed counts as unset, as in Dynamo, and `warn` is told.
 *
 * @throws {UsageError} If another value of the environment cannot be parsed.
 */
export function resolveRows(
  rows: readonly OptionRow[],
  given: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
  defaults: OptionValues = {},
  warn: (message: string) => void = () => {},
): OptionValues {
  const values: Record<string, unknown> = {};
  for (const row of rows) {
    const value = given[row.key] ?? fromEnvironment(row, env, warn) ?? defaults[row.key] ?? row.default;
    if (value !== undefined) values[row.key] = value;
  }
  return values;
}

/** What an engine changes of the defaults, given what operators set. */
export function engineDefaults(
  { defaults = {} }: Pick<EngineModule, "defaults">,
  rows: readonly OptionRow[],
  given: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
): OptionValues {
  return typeof defaults === "function" ? defaults(resolveRows(rows, given, env)) : defaults;
}

function fromEnvironment(
  row: OptionRow,
  env: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): unknown {
  const text = row.env === undefined ? undefined : env[row.env]?.trim();
  if (text === undefined || (text === "" && row.type !== "boolean")) return undefined;
  try {
    return parseValue(row, text, row.env!);
  } catch (error) {
    if (row.type !== "number" && row.type !== "integer") throw error;
    warn(`${(error as Error).message}; using the default`);
    return undefined;
  }
}

function parseValue(row: OptionRow, text: string, source: string): string | number | boolean {
  const refuse = (expected: string): never => {
    throw new UsageError(`${source}: ${JSON.stringify(text)} is not ${expected}`);
  };
  if (row.type === "boolean") {
    const word = text.trim().toLowerCase();
    return TRUE.includes(word) || (FALSE.includes(word) ? false : refuse("true or false"));
  }
  if (row.type === "string") {
    if (row.choices === undefined) return text;
    const choice = row.choices.find((name) => name === text.toLowerCase());
    return choice ?? refuse(`one of ${row.choices.join(", ")}${closest(text, row.choices)}`);
  }
  const value = Number(text);
  const noun = row.type === "integer" ? "a whole number" : "a number";
  if (text.trim() === "" || !Number.isFinite(value) || (row.type === "integer" && !Number.isInteger(value))) {
    return refuse(noun);
  }
  if (value < (row.min ?? -Infinity) || value > (row.max ?? Infinity)) {
    const range = row.max === undefined ? `of at least ${row.min}` : `from ${row.min ?? "-∞"} to ${row.max}`;
    return refuse(`${noun} ${range}`);
  }
  return value;
}

/** `; did you mean …?` when one name is close, else nothing. */
export function closest(name: string, names: readonly string[]): string {
  const ranked = names.map((candidate) => ({ candidate, distance: editDistance(name, candidate) }));
  const best = ranked.sort((a, b) => a.distance - b.distance)[0];
  if (best === undefined || best.distance > Math.max(2, name.length / 3)) return "";
  const dashes = names.some((candidate) => candidate.includes("-")) ? "--" : "";
  return `; did you mean ${dashes}${best.candidate}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, change));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Help text of rows, by group: flag, environment variable, default. */
export function formatHelp(rows: readonly OptionRow[], defaults: OptionValues = {}): string {
  const groups = [...new Set(rows.map((row) => row.group))];
  return groups.map((group) => {
    const lines = rows.filter((row) => row.group === group).map((row) => formatRow(row, defaults));
    return [`${group}:`, ...lines].join("\n");
  }).join("\n\n");
}

function formatRow(row: OptionRow, defaults: OptionValues): string {
  const value = row.type === "boolean" ? "" : ` <${row.choices?.join("|") ?? row.unit ?? row.type}>`;
  const left = row.flag === undefined ? `  ${row.env}${value}` : `  --${row.flag}${value}`;
  const fallback = defaults[row.key] ?? row.default;
  const notes = [
    row.flag === undefined ? "environment only" : row.env === undefined ? "" : row.env,
    fallback === undefined ? "" : `default ${fallback}`,
    row.aliases === undefined ? "" : `also ${row.aliases.map((alias) => `--${alias}`).join(", ")}`,
    row.deprecated === undefined ? "" : `deprecated: give ${row.deprecated}`,
  ].filter((note) => note !== "");
  return `${left.padEnd(46)} ${row.help}${notes.length === 0 ? "" : ` [${notes.join(", ")}]`}`;
}

/** Rows as a Markdown table. */
export function formatTable(rows: readonly OptionRow[]): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const lines = rows.map((row) => {
    const flag = row.flag === undefined ? "" : `\`--${row.flag}\``;
    const env = row.env === undefined ? "" : `\`${row.env}\``;
    const fallback = row.default === undefined ? "" : `\`${row.default}\``;
    return `| ${flag} | ${env} | ${fallback} | ${cell(row.help)} |`;
  });
  return ["| flag | environment | default | meaning |", "|---|---|---|---|", ...lines].join("\n");
}
