/**
 * The shape of an option: one row tells flag, environment variable, default, parser and help.
 *
 * @module
 */

/** Values of options by key, already parsed. */
export type OptionValues = Readonly<Record<string, unknown>>;

/**
 * One option of the command line.
 *
 * A flag beats code, code beats the environment, the environment beats the default.
 */
export interface OptionRow {
  /** Name in code and in {@linkcode OptionValues}. */
  readonly key: string;
  /** Flag without dashes; absent if the option has none. */
  readonly flag?: string;
  /** Older spellings of the flag; a command line keeps to one of them. */
  readonly aliases?: readonly string[];
  /** Environment variable; absent if the option has none. */
  readonly env?: string;
  /** `boolean` flags take no value and have a `--no-` twin. */
  readonly type: "string" | "number" | "integer" | "boolean";
  /** Value when nobody says otherwise; absent means unset. */
  readonly default?: string | number | boolean;
  /** The values allowed, for a `string`. */
  readonly choices?: readonly string[];
  /** Least value, for numbers. */
  readonly min?: number;
  /** Greatest value, for numbers. */
  readonly max?: number;
  /** Unit, for help. */
  readonly unit?: string;
  /** Heading in `--help`. */
  readonly group: string;
  /** One line of help. */
  readonly help: string;
  /** What to give instead, for an option that goes away; who sets it is warned. */
  readonly deprecated?: string;
}
