/**
 * `/metrics` beside Dynamo's own workers, and an engine's own metrics in it, while a real frontend serves.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { assertParity } from "../support/metric_shapes.ts";
import { PYTHON, requirePeers, TINY_MODEL } from "../support/peers.ts";
import { type Child, freePort, run, until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { startRustWorker } from "../support/rust_worker.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

const MODEL = TINY_MODEL;

/** What Python's client makes of an exposition; it refuses less than Prometheus, but no broken line. */
const PARSE = `
import sys
from prometheus_client.parser import text_string_to_metric_families
families = [f.name for f in text_string_to_metric_families(open(sys.argv[1]).read())]
assert len(families) == len(set(families)), "a family comes twice"
print(len(families))
`;

async function system(): Promise<{ env: Record<string, string>; scrape(): Promise<string> }> {
  const port = await freePort();
  return {
    env: { DYN_SYSTEM_PORT: String(port), DYN_SYSTEM_HOST: "127.0.0.1" },
    scrape: async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
  };
}

async function assertParses(text: string, store: Store): Promise<void> {
  const path = join(store.path, "metrics.txt");
  writeFileSync(path, text);
  const parsed = await run({ name: "parser", executable: PYTHON, args: ["-c", PARSE, path], env: {} }, 30_000);
  assert.equal(parsed.code, 0, parsed.output);
}

test("all workers, after a chat each, expose the same but for what is listed", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("metrics-parity");
  await using frontend = await startFrontend(store);
  const exposed = async (begin: (env: Record<string, string>) => Promise<Child> | Child): Promise<string> => {
    const { env, scrape } = await system();
    await using _worker = await begin(env);
    const asked = async () => (await frontend.post(CHAT, chat(MODEL, "hello", { max_tokens: 4 }))).status === 200;
    await until("an answer", 30_000, asked);
    return await scrape();
  };
  const args = ["--delay", "0"];
  const startStator = (...more: string[]) =>
    exposed((env) => startReadyStator(store, { args: ["--component", "sample", ...args, ...more], env }));
  const stator = await startStator();
  const withoutKv = await startStator("--disable-kv-routing");
  const python = await exposed((env) => startPythonWorker(store, { model: MODEL, args, env }));
  const rust = await exposed((env) =>
    startRustWorker({ ...store, env: { ...store.env, ...env } }, { model: MODEL, args })
  );
  assertParity(stator, python);
  // Dynamo's Rust sample has no KV events.
  assertParity(withoutKv, rust, false);
  await assertParses(stator, store);
});

test("an engine's registry is scraped with the worker's labels while it serves", { timeout: 90_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("metrics-bridge");
  await using frontend = await startFrontend(store);
  const { env, scrape } = await system();
  await using worker = await startReadyStator(store, { program: "test/support/metrics_engine.ts", env });
  await frontend.listed(MODEL);
  const answer = await frontend.post(CHAT, chat(MODEL, "hello", { max_tokens: 8 }));
  assert.equal(answer.status, 200);

  const text = await scrape();
  const id = /uptime_seconds\{worker_id="(\w+)"\}/.exec(text)![1];
  const endpoint = 'dynamo_component="backend",dynamo_endpoint="generate",dynamo_namespace="dynamo"';
  const labels = (own = ""): string => `{${endpoint},${own}model="${MODEL}",model_name="${MODEL}",worker_id="${id}"}`;
  assert.deepEqual(text.split("\n").filter((line) => /^(# \w+ )?(vllm|lmcache|process)/.test(line)), [
    "# HELP vllm:num_requests_running Requests running",
    "# TYPE vllm:num_requests_running gauge",
    `vllm:num_requests_running${labels()} 0`,
    "# HELP vllm:generation_tokens_total Tokens made",
    "# TYPE vllm:generation_tokens_total counter",
    `vllm:generation_tokens_total${labels().replace(`model_name="${MODEL}"`, 'model_name="own \\"name\\""')} 8`,
    "# HELP vllm:answer_tokens Length",
    "# TYPE vllm:answer_tokens histogram",
    `vllm:answer_tokens_bucket${labels('le="4",')} 0`,
    `vllm:answer_tokens_bucket${labels('le="16",')} 1`,
    `vllm:answer_tokens_bucket${labels('le="+Inf",')} 1`,
    `vllm:answer_tokens_sum${labels()} 8`,
    `vllm:answer_tokens_count${labels()} 1`,
    "lmcache:hits 7",
  ]);
  for (const [source, reason] of [["hangs", "timeout"], ["throws", "error"], ["page", "invalid"]]) {
    const series = `stator_metrics_source_failures_total{reason="${reason}",source="${source}",worker_id="${id}"} 1`;
    assert.ok(text.includes(`\n${series}\n`), series);
  }
  assert.match(text, /\ndynamo_component_requests_total\{[^\n]*\} 1\n/);
  await assertParses(text, store);

  await Promise.all([scrape(), scrape()]);
  const warnings = worker.output().split("\n").filter((line) => / WARN /.test(line));
  assert.equal(warnings.length, 4, warnings.join("\n"));
});
