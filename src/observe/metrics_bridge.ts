/**
 * Metrics of somebody else's, shown in the worker's own exposition.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { type Family, parseExposition } from "./exposition.ts";
import { injectLabels, type SampleLabels } from "./exposition_labels.ts";
import { FamilyMerge, type Refusal } from "./family_merge.ts";
import type { Log } from "./log.ts";

/** Where an exposition comes from. */
export interface ExpositionSource {
  /** What the log and `stator_metrics_source_failures_total` call it. */
  readonly name: string;
  /** The exposition as it is now. */
  readonly scrape: () => string | Promise<string>;
  /** Samples to keep, by the beginning of their names. @default all */
  readonly prefixes?: readonly string[];
  /** Samples to leave out, by the beginning of their names; asked before `prefixes`. @default none */
  readonly exclude?: readonly string[];
  /** Labels for samples that have none of that name. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Why a source was left out of a scrape. */
export type SourceFailure = "error" | "timeout" | "invalid" | "too_large";

/** Settings of a {@linkcode MetricsBridge}. */
export interface MetricsBridgeOptions {
  /** The sources, in the order in which they are shown. */
  readonly sources: readonly ExpositionSource[];
  /** Time. */
  readonly clock: Clock;
  /** Told when a source fails in another way than at the scrape before, and when it works again. */
  readonly log: Log;
  /** Whether a name is the worker's own. */
  readonly isTaken: (name: string) => boolean;
  /** Told of each source that a scrape leaves out. */
  readonly failed: (source: string, reason: SourceFailure) => void;
}

/** How long a scrape waits for a source. Prometheus gives a whole scrape 10 seconds. @unit milliseconds */
const SCRAPE_MS = 2000;
/** Longest exposition of a source. @unit UTF-16 code units */
const MAX_LENGTH = 16 * 1024 * 1024;

/** Shows sources in one exposition. A source that fails is left out, whole; the others are shown. */
export class MetricsBridge {
  readonly #options: MetricsBridgeOptions;
  readonly #sources: readonly BridgedSource[];

  /** Asks no source before {@linkcode text} is called. */
  constructor(options: MetricsBridgeOptions) {
    this.#options = options;
    this.#sources = options.sources.map((source) => new BridgedSource(source, options));
  }

  /** The exposition of all sources, as they are now; takes 2 seconds at most, and never fails. */
  async text(): Promise<string> {
    const read = await Promise.all(this.#sources.map(async (source) => ({ source, families: await source.read() })));
    const merge = new FamilyMerge(this.#options.isTaken);
    for (const { source, families } of read) {
      if (families !== null) source.refused(merge.add(families));
    }
    return merge.text();
  }
}

type Outcome = { readonly families: Family[] } | { readonly failure: SourceFailure; readonly error: unknown };

class BridgedSource {
  readonly #source: ExpositionSource;
  readonly #options: MetricsBridgeOptions;
  readonly #labels: SampleLabels;
  /** A call of the source's that has not ended; there is never a second one. */
  #reading: Promise<Outcome> | null = null;
  /** Whether that call has had its time. */
  #isLate = false;
  #failure: SourceFailure | null = null;
  #refusals = "";

  constructor(source: ExpositionSource, options: MetricsBridgeOptions) {
    this.#source = source;
    this.#options = options;
    this.#labels = injectLabels(source.labels);
  }

  /** The families as they are now; `null` if the source failed. */
  async read(): Promise<Family[] | null> {
    this.#reading ??= this.#scrape().finally(() => {
      this.#reading = null;
      this.#isLate = false;
    });
    const outcome = await this.#inTime(this.#reading);
    const { log, failed } = this.#options;
    const { name } = this.#source;
    const failure = "failure" in outcome ? outcome.failure : null;
    if (failure !== null) failed(name, failure);
    if (failure !== this.#failure) {
      this.#failure = failure;
      if ("failure" in outcome) {
        log.warn("Leaving a metrics source of the engine out of /metrics", {
          source: name,
          reason: failure,
          error: outcome.error,
        });
      } else log.info("A metrics source of the engine is back in /metrics", { source: name });
    }
    return "failure" in outcome ? null : outcome.families;
  }

  /** Some families could not be shown, or all could. */
  refused(refusals: readonly Refusal[]): void {
    const text = refusals.map(({ family, reason }) => `${family} is ${reason}`).join(", ");
    if (text === this.#refusals) return;
    this.#refusals = text;
    if (text === "") return;
    const families = text.length > 500 ? `${text.slice(0, 500)}…` : text;
    this.#options.log.warn("Leaving metric families of the engine out of /metrics: rename them", {
      source: this.#source.name,
      families,
    });
  }

  async #scrape(): Promise<Outcome> {
    let text: unknown;
    try {
      text = await this.#source.scrape();
    } catch (error) {
      return { failure: "error", error };
    }
    if (typeof text !== "string") return { failure: "invalid", error: `not a string but ${typeof text}` };
    if (text.length > MAX_LENGTH) return { failure: "too_large", error: `${text.length} characters` };
    try {
      const { prefixes, exclude } = this.#source;
      return {
        families: parseExposition(text, {
          labels: this.#labels,
          ...(prefixes === undefined ? {} : { prefixes }),
          ...(exclude === undefined ? {} : { exclude }),
        }),
      };
    } catch (error) {
      return { failure: "invalid", error };
    }
  }

  /** What a call ends in, if it ends in time. A later scrape does not wait for it once more. */
  async #inTime(reading: Promise<Outcome>): Promise<Outcome> {
    const late: Outcome = { failure: "timeout", error: `no answer within ${SCRAPE_MS} ms` };
    if (this.#isLate) return late;
    let timer: Disposable | undefined;
    const over = new Promise<Outcome>((resolve) => {
      timer = this.#options.clock.timer(SCRAPE_MS, () => {
        this.#isLate = this.#reading === reading;
        resolve(late);
      });
    });
    const outcome = await Promise.race([reading, over]);
    timer?.[Symbol.dispose]();
    return outcome;
  }
}
