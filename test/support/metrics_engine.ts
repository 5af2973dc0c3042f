/**
 * A worker with metrics of its own: a registry under the names of vLLM, and sources that fail in every way.
 *
 * @module
 */
import process from "node:process";
import { chunk, defineEngine, serve } from "@stator/worker";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

const registry = new Registry();
const registers = [registry];
const running = new Gauge({ name: "vllm:num_requests_running", help: "Requests running", registers });
const tokens = new Counter({
  name: "vllm:generation_tokens_total",
  help: "Tokens made",
  labelNames: ["model_name"],
  registers,
});
const length = new Histogram({ name: "vllm:answer_tokens", help: "Length", buckets: [4, 16], registers });
new Gauge({ name: "process_start", help: "Not for this place", registers }).set(1);

await serve(defineEngine({
  start: () => Promise.resolve({ model: process.argv[process.argv.indexOf("--model-name") + 1]!, contextLength: 2048 }),
  async *generate(request, ctx) {
    running.inc();
    const count = request.stop_conditions.max_tokens ?? 16;
    for (let id = 1; id <= count && !ctx.signal.aborted; id++) {
      yield chunk.tokens([id]);
      await ctx.clock.nextTurn();
    }
    tokens.inc({ model_name: 'own "name"' }, count);
    length.observe(count);
    running.dec();
    yield chunk.stop();
  },
  metricsSources: () => [
    { registry, prefixFilters: ["vllm:", "lmcache:"] },
    { name: "hangs", expfmt: () => new Promise(() => {}) },
    { name: "throws", expfmt: () => Promise.reject(new Error("gone")) },
    { name: "page", expfmt: () => "<html>not found</html>" },
    { name: "plain", expfmt: () => "dynamo_component_requests_total 5\nlmcache:hits 7" },
  ],
  cleanup() {},
}));
