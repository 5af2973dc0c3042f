/**
 * A replay as one HTML page that needs nothing else: no network, no other file.
 *
 * Its size does not depend on the number of requests, and stops to grow with the number of workers.
 *
 * @module
 */
import { reportDistributions, reportFacts, STATISTICS } from "../replay/report_table.ts";
import type { Plot } from "./frame.ts";
import { HOVER_SCRIPT } from "./hover.ts";
import { type Content, Markup, scriptJson, table, tag } from "./markup.ts";
import { type ReplayRecord, runPlots } from "./run_plots.ts";
import { figure, rounded, timeUnit } from "./scale.ts";
import { STYLE } from "./style.ts";

/** What a page shows. */
export interface ReplayPage extends ReplayRecord {
  /** Name of the trace. */
  readonly trace: string;
  /** Arguments and versions, by name. */
  readonly facts: Readonly<Record<string, string>>;
}

/** Nothing from elsewhere is loaded, whatever names and arguments say. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** Makes the page. */
export function replayPage(page: ReplayPage): string {
  const { trace, facts, summary, run } = page;
  const plots = runPlots(page);
  const title = `Replay of ${trace}`;
  const column = lengthOf(run.widthMs);
  const html = tag(
    "html",
    { lang: "en" },
    tag("head", {}, [
      tag("meta", { charset: "utf-8" }),
      tag("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      tag("meta", { "http-equiv": "Content-Security-Policy", content: POLICY }),
      tag("title", {}, title),
      tag("style", {}, new Markup(STYLE)),
    ]),
    tag("body", {}, [
      tag("header", {}, tag("h1", {}, title), cards(page)),
      tag("main", {}, [
        tag("section", { class: "plots", "aria-label": "Plots" }, plots.map(figureOf)),
        tag("h2", {}, "Report"),
        tag("div", { class: "wide" }, distributions(page)),
        tag(
          "div",
          { class: "wide pairs" },
          table(
            "Figures",
            ["name", "value"],
            reportFacts(summary).map(({ name, value, unit }) => [name, `${figure(value)} ${unit}`]),
          ),
        ),
        tag("h2", {}, "How it was run"),
        tag("div", { class: "wide pairs" }, table("Arguments and versions", ["name", "value"], Object.entries(facts))),
      ]),
      tag(
        "footer",
        {},
        tag(
          "p",
          {},
          `Plots over time have columns of ${column}. Each keeps the least, the greatest and the mean value of its time; ` +
            "the band shows the first two, so no peak is lost.",
        ),
      ),
      tag("script", { type: "application/json", id: "values" }, scriptJson(valuesOf(plots))),
      tag("script", {}, new Markup(HOVER_SCRIPT)),
    ]),
  );
  return `<!DOCTYPE html>\n${html.text}\n`;
}

function valuesOf(plots: readonly Plot[]): Record<string, Plot["hover"]> {
  return Object.fromEntries(plots.map(({ id, hover }) => [id, hover]));
}

function figureOf({ title, description, legend, drawing, table }: Plot): Content {
  return tag("figure", {}, [
    tag("figcaption", {}, [
      tag("h3", {}, title),
      tag("p", {}, description),
      tag("ul", { class: "legend" }, Object.entries(legend).map(([style, name]) => tag("li", { class: style }, name))),
    ]),
    drawing,
    tag("details", {}, tag("summary", {}, "Values as a table"), tag("div", { class: "wide" }, table)),
  ]);
}

function cards({ summary, run: { workers } }: ReplayPage): Content {
  const number = (name: string) => figure(rounded(summary[name] as number, 4));
  const both = (name: string) => [`${number(`median_${name}`)} / ${number(`p99_${name}`)}`, tag("small", {}, " ms")];
  const all: readonly (readonly [string, Content])[] = [
    ["Completed requests", [
      figure(summary["completed_requests"] as number),
      tag("small", {}, ` of ${figure(summary["num_requests"] as number)}`),
    ]],
    ["Simulated time", [
      lengthOf(summary["duration_ms"] as number),
      tag("small", {}, `, ${figure(workers.length)} worker${workers.length === 1 ? "" : "s"}`),
    ]],
    ["Requests", [number("request_throughput_rps"), tag("small", {}, " /s")]],
    ["Output tokens", [number("output_throughput_tok_s"), tag("small", {}, " /s")]],
    ["TTFT p50 / p99", both("ttft_ms")],
    ["ITL p50 / p99", both("itl_ms")],
  ];
  return tag(
    "dl",
    { class: "cards" },
    all.map(([name, value]) => tag("div", {}, tag("dt", {}, name), tag("dd", {}, value))),
  );
}

function distributions({ summary }: ReplayPage): Markup {
  return table(
    "Distributions",
    ["name", "unit", ...STATISTICS],
    reportDistributions(summary).map(({ name, unit, values }) => [
      name,
      unit,
      ...values.map((value) => value === undefined ? "–" : figure(value)),
    ]),
  );
}

function lengthOf(ms: number): string {
  const unit = timeUnit(ms);
  return `${figure(rounded(ms / unit.ms, 4))} ${unit.name}`;
}
