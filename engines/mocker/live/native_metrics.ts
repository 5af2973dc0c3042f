/**
 * Metrics under the names of the engine that is imitated, for load balancers that know those.
 *
 * @source dynamo-mocker 1.6.1: names, labels and buckets
 * @module
 */
import type { Backend } from "../args.ts";
import type { EngineGroup } from "../engine_group.ts";
import { Histogram } from "./histogram.ts";

const VLLM_BOUNDS = {
  ttft: [
    ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640],
    2560,
  ],
  itl: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80],
  e2e: [
    ...[0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920],
    7680,
  ],
};
const SGLANG_BOUNDS = {
  ttft: [0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400],
  itl: [
    ...[0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8],
    ...[1, 2, 4, 6, 8],
  ],
  e2e: [
    ...[0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 1200, 1800],
    2400,
  ],
};
const HISTOGRAMS = [
  ["ttft", "time_to_first_token_seconds"],
  ["itl", "inter_token_latency_seconds"],
  ["e2e", "e2e_request_latency_seconds"],
] as const;

type Latency = "ttft" | "itl" | "e2e";

/** What one worker shows. Nothing is shown before the first request, whose model name all samples carry. */
export class NativeMetrics {
  readonly #backend: Backend;
  readonly #group: EngineGroup;
  readonly #latencies: readonly Record<Latency, Histogram>[];
  #model: string | undefined;
  #requests = 0;
  #promptTokens = 0;
  #reusedTokens = 0;

  /** Makes the metrics of a group. */
  constructor(backend: Backend, group: EngineGroup) {
    this.#backend = backend;
    this.#group = group;
    const bounds = backend === "sglang" ? SGLANG_BOUNDS : VLLM_BOUNDS;
    const sets = backend === "sglang" ? group.ranks.slice(0, 1) : group.ranks;
    this.#latencies = sets.map(() => ({
      ttft: new Histogram(bounds.ttft),
      itl: new Histogram(bounds.itl),
      e2e: new Histogram(bounds.e2e),
    }));
  }

  /** Notes that a request has come. */
  began(model: string): void {
    this.#model ??= model;
    this.#requests++;
  }

  /** Notes a prompt and how much of it was cached. */
  admitted(promptTokens: number, reusedTokens: number): void {
    this.#promptTokens += promptTokens;
    this.#reusedTokens += reusedTokens;
  }

  /** Notes a latency. @unit milliseconds */
  observe(rank: number, latency: Latency, ms: number): void {
    (this.#latencies[rank] ?? this.#latencies[0]!)[latency].observe(ms / 1000);
  }

  /** All samples as text. */
  text(): string {
    if (this.#model === undefined) return "";
    const model = this.#model.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
    const lines = this.#backend === "sglang" ? this.#sglang(model) : this.#vllm(model);
    return `${lines.join("\n")}\n`;
  }

  #vllm(model: string): string[] {
    const prefix = this.#backend;
    const gauges = this.#group.ranks.map((rank) => rank.gauges);
    const labels = (rank: number) => `model_name="${model}",engine="${rank}"`;
    const family = (name: string, type: string, value: (rank: (typeof gauges)[number]) => number): string[] => [
      ...head(`${prefix}:${name}`, type),
      ...gauges.map((rank, i) => `${prefix}:${name}{${labels(i)}} ${value(rank)}`),
    ];
    return [
      ...family("num_requests_running", "gauge", ({ running }) => running),
      ...family("num_requests_waiting", "gauge", ({ waiting }) => waiting),
      ...family("kv_cache_usage_perc", "gauge", ({ usage }) => usage),
      ...family("gpu_cache_usage_perc", "gauge", ({ usage }) => usage),
      ...family("num_preemptions_total", "counter", ({ preemptions }) => preemptions),
      ...this.#histograms(prefix, labels),
    ];
  }

  #sglang(model: string): string[] {
    const labels = `model_name="${model}",engine_type="sglang"`;
    const ranks = `${labels},tp_rank="0",pp_rank="0",moe_ep_rank="0"`;
    const gauges = this.#group.ranks.map((rank) => rank.gauges);
    const sum = (value: (rank: (typeof gauges)[number]) => number) => gauges.reduce((all, one) => all + value(one), 0);
    const family = (name: string, type: string, on: string, value: number): string[] => [
      ...head(`sglang:${name}`, type),
      `sglang:${name}{${on}} ${value}`,
    ];
    const hitRate = this.#promptTokens === 0 ? 0 : this.#reusedTokens / this.#promptTokens;
    return [
      ...family("num_running_reqs", "gauge", ranks, sum(({ running }) => running)),
      ...family("num_queue_reqs", "gauge", ranks, sum(({ waiting }) => waiting)),
      ...family("cache_hit_rate", "gauge", ranks, hitRate),
      ...family("num_requests_total", "counter", labels, this.#requests),
      ...this.#histograms("sglang", () => labels),
    ];
  }

  #histograms(prefix: string, labels: (rank: number) => string): string[] {
    return HISTOGRAMS.flatMap(([latency, name]) => [
      ...head(`${prefix}:${name}`, "histogram"),
      ...this.#latencies.flatMap((set, rank) => set[latency].lines(`${prefix}:${name}`, labels(rank))),
    ]);
  }
}

function head(name: string, type: string): string[] {
  return [`# HELP ${name} As the engine of this name has it.`, `# TYPE ${name} ${type}`];
}
