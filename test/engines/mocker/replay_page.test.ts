import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLaunchArgs } from "../../../engines/mocker/launch_args.ts";
import { distributionPlot } from "../../../engines/mocker/page/distribution.ts";
import type { Hover } from "../../../engines/mocker/page/frame.ts";
import { replayPage } from "../../../engines/mocker/page/replay_page.ts";
import { replayTrace } from "../../../engines/mocker/replay/replay.ts";
import { reportFacts } from "../../../engines/mocker/replay/report_table.ts";
import { RunRecorder } from "../../../engines/mocker/replay/run_recorder.ts";
import { readTrace } from "../../../engines/mocker/replay/trace.ts";
import { goldenText } from "../../support/golden.ts";
import { elements, parseMarkup } from "../../support/markup_check.ts";

const PLOTS = ["arrivals", "waiting", "batch", "kv", "ttft", "itl"];
const EVIL = `</script><script>alert("1")</script>&'`;

/** Replays a trace and makes its page. */
function pageOf(trace: string, blockSize: number, workers: number, engine: object) {
  const recorder = new RunRecorder();
  const args = parseLaunchArgs({ engine: { block_size: 16, ...engine } });
  const { summary, log } = replayTrace(readTrace(trace, blockSize), {
    aggregated: { args, workers },
    onWorker: recorder.observe,
  });
  const run = recorder.read(summary["duration_ms"] as number);
  const html = replayPage({ trace: EVIL, facts: { [EVIL]: EVIL }, summary, log, run });
  const page = parseMarkup(html);
  const script = elements(page, "script").find(({ attributes }) => attributes["id"] === "values")!.text;
  return { html, page, run, log, summary, values: JSON.parse(script) as Record<string, Hover> };
}

const golden = (workers: number, engine: object = {}) =>
  pageOf(goldenText("mocker/replay/traces/stagger8.jsonl"), 16, workers, engine);

/** Many requests on many workers. */
function bigTrace(requests: number): string {
  const row = (i: number) => ({
    timestamp: 13 * i,
    input_length: 64,
    output_length: 1 + i % 40,
    hash_ids: [i % 7, 100 + i],
  });
  return Array.from({ length: requests }, (_, i) => JSON.stringify(row(i))).join("\n");
}

test("a page is well-formed, stands alone, and every plot has a title, a description and a table", () => {
  const { html, page, values } = golden(2);
  assert.match(html, /^<!DOCTYPE html>\n<html lang="en">/);
  assert.doesNotMatch(html, /\b(?:src|href)=|url\(|@import|https?:/);
  assert.match(html, /default-src 'none'|default-src &#39;none&#39;/);
  assert.deepEqual(Object.keys(values), PLOTS);
  assert.equal(noNumber(html), undefined);
  const plots = elements(page, "figure");
  assert.equal(plots.length, PLOTS.length);
  const ids = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
  for (const plot of plots) {
    const [svg] = elements(plot, "svg");
    assert.equal(svg?.attributes["role"], "img");
    for (const id of svg.attributes["aria-labelledby"]!.split(" ")) assert.ok(ids.has(id));
    assert.ok(elements(svg, "title")[0]!.text.length > 3 && elements(svg, "desc")[0]!.text.length > 3);
    assert.ok(elements(elements(plot, "table")[0]!, "tr").length > 1);
    // Two axes with a name and a unit each.
    const names = elements(svg, "text").filter(({ attributes }) => attributes["class"]!.includes("name"));
    assert.equal(names.length, 2);
    assert.match(names[1]!.text, /\(ms\)$/);
  }
});

test("names and arguments are text wherever they are", () => {
  const { page, html } = golden(1);
  assert.equal(elements(page, "h1")[0]!.text, `Replay of ${EVIL}`);
  assert.equal(elements(page, "title")[0]!.text, `Replay of ${EVIL}`);
  assert.equal(elements(page, "script").length, 2);
  assert.ok(elements(page, "td").some(({ text }) => text === EVIL));
  assert.equal(html.split("alert(").length - 1, html.split("alert(&quot;1").length - 1);
});

test("lines and what a pointer is told are the values of the run", () => {
  const { page, values, run } = golden(2);
  for (const measure of ["waiting", "batch", "kv"] as const) {
    const svg = elements(page, "svg").find(({ attributes }) => attributes["data-plot"] === measure)!;
    const paths = elements(svg, "path").filter(({ attributes }) => attributes["class"]!.startsWith("line"));
    const labels = elements(svg, "text").filter(({ attributes }) => attributes["class"] === "y").map(({ text }) =>
      text
    );
    const top = Number(labels.at(-1));
    run.workers.forEach((worker, i) => {
      const { mean, min, max } = worker[measure];
      const told = values[measure]!.lines[i]!;
      assert.equal(told.name, `worker ${i}`);
      assert.deepEqual([told.values, told.min, told.max], [mean, min, max].map((list) => [...list].map(fiveDigits)));
      const { left, step } = values[measure]!;
      mean.forEach((value, column) => {
        const y = heightAt(paths[i]!.attributes["d"]!, Math.min(470, left + (column + 0.1) * step));
        assert.ok(Math.abs((194 - y) / 172 * top - value) <= top * 0.001, `${measure} ${i} ${column}`);
      });
    });
  }
  assert.ok(run.workers.every(({ batch }) => Math.max(...batch.max) >= 2), "there is something to see");
});

/** How high a path of steps is at a place. */
function heightAt(path: string, x: number): number {
  let height = NaN;
  for (const [, , y, , to] of path.matchAll(/(M[\d.]+ |V)([\d.]+)(H([\d.]+))?/g)) {
    height = Number(y);
    if (to !== undefined && Number(to) >= x) return height;
  }
  return height;
}

/** What should have been a number or a text. */
function noNumber(html: string): string | undefined {
  return /.{20}(?:NaN|Infinity|[">]undefined)/.exec(html)?.[0];
}

function fiveDigits(value: number): number {
  return Number(value.toPrecision(5));
}

test("the plots say how many requests came and were over, and how long they waited", () => {
  const { values, log, summary } = golden(1, { aic_nextn: 2 });
  const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  assert.deepEqual(values["arrivals"]!.lines.map(({ values }) => total(values)), [8, 8]);
  const { edges, lines: [came] } = values["arrivals"]!;
  came!.values.forEach((count, i) => {
    const inside = [...log.arrival].filter((at) => at >= edges[i]! && at < edges[i + 1]!).length;
    assert.equal(count, inside);
  });
  const ttft = values["ttft"]!;
  assert.ok(Math.abs(total(ttft.lines[0]!.values) - 100) < 0.01);
  assert.ok(
    ttft.edges[0]! <= (summary["min_ttft_ms"] as number) && ttft.edges.at(-1)! >= (summary["max_ttft_ms"] as number),
  );
  // Accepted drafts come together: they have no place on a logarithmic axis.
  assert.ok(total(values["itl"]!.lines[0]!.values) < 100);
});

test("drafts that come together are told in words", () => {
  const { page } = golden(1, { aic_nextn: 2 });
  assert.match(elements(page, "figcaption")[5]!.text, /\d+ of 93 are 0/);
});

test("the report is there with the peer's names", () => {
  const { page, summary } = golden(1);
  const cells = new Set([...elements(page, "th"), ...elements(page, "td")].map(({ text }) => text));
  for (const { name } of reportFacts(summary)) assert.ok(cells.has(name), name);
  assert.ok(cells.has("output_token_throughput_per_user") && cells.has("8 requests"));
  assert.ok(cells.has(`${Number((summary["mean_ttft_ms"] as number).toPrecision(4))}`), "mean time to first token");
});

test("many workers are one line with a band, and a row each; many requests make no bigger page", () => {
  const small = pageOf(bigTrace(600), 32, 64, { num_gpu_blocks: 64 });
  const big = pageOf(bigTrace(6000), 32, 64, { num_gpu_blocks: 64 });
  assert.deepEqual(Object.keys(big.values), [...PLOTS, "waiting-workers", "batch-workers", "kv-workers"]);
  assert.deepEqual(big.values["batch"]!.lines.map(({ name }) => name), ["64 workers, mean"]);
  const { lines: [line] } = big.values["batch"]!;
  const most = Math.max(...big.run.workers.flatMap(({ batch }) => [...batch.max]));
  assert.equal(Math.max(...line!.max!), most);
  assert.equal(big.values["batch-workers"]!.lines.length, 64);
  assert.ok(big.html.length < 1_000_000 && big.html.length < 2 * small.html.length, `${big.html.length}`);
  assert.equal(noNumber(big.html), undefined);
});

test("with more workers than rows a row stands for several, and the page stays below a megabyte", () => {
  const { values, html } = pageOf(bigTrace(2000), 32, 300, { num_gpu_blocks: 64 });
  assert.deepEqual(values["kv-workers"]!.lines.slice(0, 2).map(({ name }) => name), ["worker 0–4", "worker 5–9"]);
  assert.equal(values["kv-workers"]!.lines.length, 60);
  assert.ok(html.length < 1_000_000);
});

test("a run of which nothing came is a page too", () => {
  const { page, html } = pageOf('{"timestamp":0,"input_length":900,"output_length":3,"hash_ids":[1,2]}', 512, 1, {
    num_gpu_blocks: 2,
  });
  assert.equal(elements(page, "figure").length, PLOTS.length);
  assert.equal(noNumber(html), undefined);
});

test("a few values far beyond the others do not squeeze them; they are told in words", () => {
  const values = [...Array.from({ length: 5000 }, (_, i) => [10 + i / 1000, 1] as const), [900, 2] as const];
  const marks = [["p50", 12.5], ["p99", 15], ["most", 900]] as const;
  const plot = distributionPlot({ id: "x", title: "X", description: "Values.", xLabel: "x (ms)", values, marks });
  assert.match(plot.description, /The last bar has all up to 900 ms/);
  const { edges, lines: [shares] } = plot.hover;
  assert.ok(edges.at(-1)! > 15 && edges.at(-1)! < 35);
  assert.ok(Math.abs(shares!.values.at(-1)! - 100 * 2 / 5002) < 1e-4);
  assert.ok(shares!.values.filter((share) => share > 1).length > 8);
});
