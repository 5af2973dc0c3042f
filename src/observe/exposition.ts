/**
 * Text expositions of other programs: Prometheus' format, and OpenMetrics as far as it says the same.
 *
 * @module
 */
import type { SampleLabels } from "./exposition_labels.ts";

/** One line: a name with labels, and what follows. */
export interface Sample {
  /** Name and labels; the same for no other sample of the family. */
  readonly series: string;
  /** The value, and the timestamp if there is one. */
  readonly value: string;
}

/** Samples under one name. */
export interface Family {
  /** Name, as `# TYPE` has it in Prometheus' format. */
  readonly name: string;
  /** Type of Prometheus' format; `null` if the exposition has none. */
  readonly type: string | null;
  /** Help, still escaped. */
  readonly help: string | null;
  /** At least one. */
  readonly samples: Sample[];
}

/** Settings of {@linkcode parseExposition}. */
export interface ExpositionFilter {
  /** Samples to keep, by the beginning of their names. @default all */
  readonly prefixes?: readonly string[];
  /** Samples to leave out, by the beginning of their names; asked before `prefixes`. @default none */
  readonly exclude?: readonly string[];
  /** Checks the labels of a sample and adds others. */
  readonly labels: SampleLabels;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
// No two parts that stand beside each other can take the same characters: a long line is told from a good one in linear time.
const NUMBER = "[+-]?(?:(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?|inf(?:inity)?|nan)";
/** Name, labels, value, timestamp; an exemplar may follow. */
const SAMPLE = new RegExp(
  `^(${NAME})(?:[ \\t]*\\{((?:[^"}]|"(?:[^"\\\\]|\\\\.)*")*)\\}[ \\t]*|[ \\t]+)(${NUMBER})(?:[ \\t]+(-?\\d+(?:\\.\\d+)?))?[ \\t]*(?:#.*)?$`,
  "i",
);
const META = new RegExp(`^#[ \\t]+(HELP|TYPE|UNIT)[ \\t]+(${NAME})(?:[ \\t](.*))?$`);
const NAME_OF_SUFFIX = /^(.+)(_bucket|_sum|_count|_total|_info|_created)$/;

/** What a type of either format is called in Prometheus'. */
const TYPES: Readonly<Record<string, string>> = {
  counter: "counter",
  gauge: "gauge",
  histogram: "histogram",
  summary: "summary",
  untyped: "untyped",
  unknown: "untyped",
  info: "gauge",
  stateset: "gauge",
  gaugehistogram: "untyped",
};

/** Suffixes of the samples that belong to a family of a type, under its name. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["_sum", "_count"],
};

/** Suffixes of samples that OpenMetrics counts among a family, and Prometheus' format does not; with their types. */
const OWN_SUFFIXES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  counter: { _total: "counter", _created: "gauge" },
  info: { _info: "gauge" },
  histogram: { _created: "gauge" },
  summary: { _created: "gauge" },
};

interface Declared {
  type?: string;
  help?: string;
}

/**
 * Reads an exposition into families, in the order of their first samples; those without samples are no families.
 * Exemplars, units and comments are left out, and what OpenMetrics writes otherwise is turned into Prometheus' format.
 *
 * @throws {SyntaxError} If a line is none of an exposition.
 */
export function parseExposition(text: string, filter: ExpositionFilter): Family[] {
  return new Parser(text, filter).families();
}

class Parser {
  readonly #text: string;
  readonly #filter: ExpositionFilter;
  /** In OpenMetrics, timestamps are in seconds. */
  readonly #isOpenMetrics: boolean;
  readonly #declared = new Map<string, Declared>();
  readonly #families = new Map<string, Family>();
  /** The family of each name of samples; `null` if these are filtered out. */
  readonly #places = new Map<string, Family | null>();

  constructor(text: string, filter: ExpositionFilter) {
    this.#text = text;
    this.#filter = filter;
    this.#isOpenMetrics = /(?:^|\n)# EOF\s*$/.test(text.slice(-64));
  }

  families(): Family[] {
    let number = 0;
    for (const ended of this.#text.split("\n")) {
      number++;
      const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
      const isGood = line.startsWith("#") ? this.#meta(line) : this.#sample(line);
      if (!isGood) throw new SyntaxError(`line ${number} is no line of an exposition: ${quote(line)}`);
    }
    return [...this.#families.values()].filter(({ samples }) => samples.length > 0);
  }

  #meta(line: string): boolean {
    const match = META.exec(line);
    // Anything else behind a # is a comment.
    if (match === null) return true;
    const [, what, name, text = ""] = match as unknown as [string, string, string, string | undefined];
    const declared: Declared = this.#declared.get(name) ?? {};
    this.#declared.set(name, declared);
    if (what === "HELP") declared.help = text;
    if (what === "TYPE") declared.type = text.trim();
    return what !== "TYPE" || Object.hasOwn(TYPES, text.trim());
  }

  #sample(line: string): boolean {
    const match = SAMPLE.exec(line);
    if (match === null) return line.trim() === "";
    const [, name, labels, value, timestamp] = match as unknown as [string, string, ...(string | undefined)[]];
    const series = this.#filter.labels.of(labels ?? "");
    const time = this.#time(timestamp);
    if (series === null || time === null) return false;
    let family = this.#places.get(name);
    if (family === undefined) this.#places.set(name, family = this.#keeps(name) ? this.#place(name) : null);
    family?.samples.push({ series: name + series, value: `${value}${time}` });
    return true;
  }

  #keeps(name: string): boolean {
    const { prefixes, exclude = [] } = this.#filter;
    if (exclude.some((prefix) => name.startsWith(prefix))) return false;
    return prefixes === undefined || prefixes.some((prefix) => name.startsWith(prefix));
  }

  /** The family that samples of a name belong to. */
  #place(name: string): Family {
    const own = this.#declared.get(name);
    if (own !== undefined) return this.#family(name, TYPES[own.type ?? ""], own.help);
    const [, base = "", suffix = ""] = NAME_OF_SUFFIX.exec(name) ?? [];
    const { type = "", help } = this.#declared.get(base) ?? {};
    if (SUFFIXES[type]?.includes(suffix)) return this.#family(base, type, help);
    const ownType = OWN_SUFFIXES[type]?.[suffix];
    return ownType === undefined ? this.#family(name) : this.#family(name, ownType, help);
  }

  #family(name: string, type?: string, help?: string): Family {
    const family = this.#families.get(name) ?? { name, type: type ?? null, help: help ?? null, samples: [] };
    this.#families.set(name, family);
    return family;
  }

  /** A timestamp in milliseconds, `null` if it is none. */
  #time(timestamp: string | undefined): string | null {
    if (timestamp === undefined) return "";
    if (this.#isOpenMetrics) return ` ${Math.round(Number(timestamp) * 1000)}`;
    return timestamp.includes(".") ? null : ` ${timestamp}`;
  }
}

function quote(line: string): string {
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}…` : line);
}
