/**
 * One exposition made of several.
 *
 * @module
 */
import type { Family, Sample } from "./exposition.ts";

/** What could not be taken into an exposition. */
export interface Refusal {
  /** Name of the family. */
  readonly family: string;
  /** Why. */
  readonly reason: "taken by the worker" | "of another type in another source";
}

interface Merged {
  readonly family: Family;
  readonly samples: Sample[];
  /** Made when a second source has the family too. */
  series: Set<string> | null;
}

/**
 * Gathers families, each with one help and one type, in the order in which they come. A sample that another source has
 * already is left out.
 */
export class FamilyMerge {
  readonly #isTaken: (name: string) => boolean;
  readonly #merged = new Map<string, Merged>();

  /** @param isTaken Whether a name, of a family or a sample, is none that may be added. */
  constructor(isTaken: (name: string) => boolean) {
    this.#isTaken = isTaken;
  }

  /** Adds the families of a source; tells which were refused. */
  add(families: readonly Family[]): Refusal[] {
    return families.flatMap((family) => this.#add(family) ?? []);
  }

  #add(family: Family): Refusal | null {
    const { name, type, samples } = family;
    if (this.#isTaken(name) || samples.some(({ series }) => this.#isTaken(nameOf(series)))) {
      return { family: name, reason: "taken by the worker" };
    }
    const merged = this.#merged.get(name);
    if (merged === undefined) {
      this.#merged.set(name, { family, samples: [...samples], series: null });
      return null;
    }
    if (merged.family.type !== type) return { family: name, reason: "of another type in another source" };
    const series = merged.series ??= new Set(merged.samples.map((sample) => sample.series));
    for (const sample of samples) {
      if (series.has(sample.series)) continue;
      series.add(sample.series);
      merged.samples.push(sample);
    }
    return null;
  }

  /** The exposition of all that was added. */
  text(): string {
    const lines: string[] = [];
    for (const { family, samples } of this.#merged.values()) {
      if (family.help !== null) lines.push(`# HELP ${family.name} ${family.help}`);
      if (family.type !== null) lines.push(`# TYPE ${family.name} ${family.type}`);
      for (const { series, value } of samples) lines.push(`${series} ${value}`);
    }
    return lines.map((line) => `${line}\n`).join("");
  }
}

function nameOf(series: string): string {
  const brace = series.indexOf("{");
  return brace < 0 ? series : series.slice(0, brace);
}
