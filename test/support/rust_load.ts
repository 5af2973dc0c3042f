/**
 * The load generator on Dynamo's own client, with no HTTP in the way; sources in `peers/rust`.
 *
 * @module
 */
import { unpackBinary } from "./peers.ts";
import { run } from "./processes.ts";
import type { Store } from "./store.ts";

/** What to send. */
export interface RustLoadOptions {
  readonly component: string;
  readonly concurrency: number;
  readonly requests: number;
  /** Tokens of each prompt. */
  readonly inputTokens: number;
  /** Tokens of each answer. */
  readonly outputTokens: number;
  /** Requests before the measurement. */
  readonly warmup: number;
}

/** What it measured. Times are in milliseconds. */
export interface RustLoadResult {
  /** Unused here. */
  readonly label?: string;
  readonly requests: number;
  readonly errors: number;
  readonly secs: number;
  readonly tok_s: number;
  readonly req_s: number;
  readonly ttft_p50_ms: number;
  readonly ttft_p99_ms: number;
  readonly lat_p50_ms: number;
  readonly lat_p99_ms: number;
}

/** Runs the load generator against every worker of a component in the store. */
export async function runRustLoad(
  store: Store,
  options: RustLoadOptions,
  timeoutMs = 300_000,
): Promise<RustLoadResult> {
  const { component, concurrency, requests, inputTokens, outputTokens, warmup } = options;
  const flags = { component, concurrency, requests, isl: inputTokens, osl: outputTokens, warmup };
  const done = await run({
    name: "rust-load",
    executable: await unpackBinary("rust-load"),
    args: Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
    env: { ...store.env, DYN_LOG: "error" },
    cwd: store.path,
  }, timeoutMs);
  const line = done.stdout.split("\n").find((text) => text.startsWith("{"));
  if (done.code !== 0 || line === undefined) throw new Error(`rust-load failed:\n${done.output.slice(-4000)}`);
  return JSON.parse(line) as RustLoadResult;
}
