import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/commands/replay.ts";
import { goldenBytes, goldenText } from "../support/golden.ts";
import { elements, parseMarkup } from "../support/markup_check.ts";
import { platformWith } from "../support/worker_rig.ts";

/** Runs `stator replay` on recorded traces, with what is printed and written kept. */
async function replay(...argv: string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const written = new Map<string, string>();
  const real = platformWith();
  let now = 0;
  const platform = platformWith({
    // Every look at the clock takes seconds, so that every replay is a long one.
    clock: { ...real.clock, now: () => now += 6000 },
    files: {
      ...real.files,
      read: (path) => new Promise((resolve) => resolve(goldenBytes(`mocker/replay/${path}`))),
      write: (path, bytes) => Promise.resolve(void written.set(path, new TextDecoder().decode(bytes))),
    },
    process: {
      ...real.process,
      env: {},
      print: (line) => void out.push(line),
      printError: (line) => void errors.push(line),
    },
  });
  return { code: await run(argv, platform), out: out.join("\n"), errors: errors.join("\n"), written };
}

const SMALL = '{"engine":{"block_size":16,"num_gpu_blocks":1024}}';

test("replay prints a table and writes the peer's figures as JSON", async () => {
  const { code, out, written } = await replay(
    "traces/stagger8.jsonl",
    "--trace-block-size=16",
    "--engine-args",
    SMALL,
    "--json",
    "report.json",
  );
  assert.equal(code, 0);
  assert.match(out, /^completed_requests +8 +requests$/m);
  assert.match(out, /^ttft_ms +ms +44\.023 /m);
  const report = JSON.parse(written.get("report.json")!);
  const { summary } = JSON.parse(goldenText("mocker/replay/stagger8-default.json"));
  assert.equal(report.duration_ms, summary.duration_ms);
  assert.equal(report.p99_itl_ms, summary.p99_itl_ms);
});

test("replay divides the work between two pools and reads a profile", async () => {
  const pool = (role: string) =>
    JSON.stringify({
      engine: {
        ...JSON.parse(SMALL).engine,
        worker_type: role,
        timing_model: { type: "external", provider: "dynamo_profile", config: { path: "perf.npz" } },
      },
    });
  const divided = ["--prefill-engine-args", pool("prefill"), "--decode-engine-args", pool("decode")];
  const { code, out } = await replay("traces/stagger8.jsonl", "--trace-block-size=16", ...divided);
  assert.equal(code, 0);
  assert.match(out, /^prefill_gpus_per_worker +1 {2}GPUs$/m);
  assert.equal((await replay("traces/stagger8.jsonl", "--engine-args", SMALL, ...divided)).code, 2);
});

test("replay counts good requests when limits are given", async () => {
  const { out } = await replay(
    "traces/stagger8.jsonl",
    "--trace-block-size=16",
    "--engine-args",
    SMALL,
    "--sla-ttft-ms=40",
  );
  const good = Number(/^goodput_completed_requests +(\d+) {2}requests$/m.exec(out)?.[1]);
  assert.ok(good > 0 && good < 8, out);
});

for (
  const [argv, complaint] of [
    [[], /name the trace first/],
    [["traces/none.jsonl"], /none\.jsonl/],
    [["traces/stagger8.jsonl", "--engine-args", '{"block_size":16}'], /unknown field `block_size`/],
    [["traces/stagger8.jsonl", "--trace-block-size=8"], /line 1 of the trace: it input_length 96 exceeds/],
    [["traces/stagger8.jsonl", "--wrokers=2"], /--wrokers/],
  ] as const
) {
  test(`replay refuses ${argv.join(" ") || "nothing"}`, async () => {
    const { code, errors } = await replay(...argv);
    assert.equal(code, 2);
    assert.match(errors, complaint);
  });
}

test("replay --html writes a page with what it was asked for and what came of it", async () => {
  const { code, written } = await replay(
    "traces/stagger8.jsonl",
    "--trace-block-size=16",
    "--engine-args",
    SMALL,
    "--html",
    "page.html",
  );
  assert.equal(code, 0);
  const page = parseMarkup(written.get("page.html")!);
  assert.equal(elements(page, "h1")[0]!.text, "Replay of traces/stagger8.jsonl");
  const cells = elements(page, "td").map(({ text }) => text);
  assert.ok(cells.some((cell) => cell.startsWith("stator replay traces/stagger8.jsonl") && cell.includes(SMALL)));
  assert.ok(cells.some((cell) => cell.includes("tested with Dynamo 1.6.1")));
  assert.equal(elements(page, "figure").length, 6);
});

test("replay --json - prints the report as JSON and nothing else there, whatever the bar says", async () => {
  const { code, out, errors, written } = await replay(
    "traces/stagger8.jsonl",
    "--trace-block-size=16",
    "--json",
    "-",
    "--progress",
  );
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).completed_requests, 8);
  assert.equal(written.size, 0);
  assert.match(errors, /^\[#+\.*\] +\d+ % {2}\d of 8 requests, .* left$/m);
  assert.equal((await replay("traces/stagger8.jsonl", "--trace-block-size=16", "--no-progress")).errors, "");
});

test("the table is aligned, and says the unit of every figure that has one", async () => {
  const { out } = await replay("traces/stagger8.jsonl", "--trace-block-size=16", "--engine-args", SMALL);
  const [facts, distributions] = out.split("\n\n").map((part) => part.split("\n"));
  assert.equal(new Set(facts!.map((line) => /^\S+ +[\d.]+/.exec(line)![0].length)).size, 1);
  assert.match(out, /^request_throughput_rps +29\.644 {2}requests\/s$/m);
  assert.match(out, /^gpu_hours +0\.\d{4,} {2}h$/m);
  assert.match(distributions![0]!, /^ +mean +min +median +p75 +p90 +p95 +p99 +max +std$/);
  assert.equal(new Set(distributions!.map((line) => line.length)).size, 1);
});
