/**
 * Dynamo's mocker as a child process, ours beside it, and loads for both.
 *
 * @module
 */
import { join } from "node:path";
import { COMPLETIONS, type Frontend } from "./frontend.ts";
import { PYTHON, TINY_WORDS_MODEL } from "./peers.ts";
import { type Child, start } from "./processes.ts";
import { startStator } from "./stator.ts";
import type { Store } from "./store.ts";

/** Whose mock engine. */
export type Maker = "stator" | "dynamo";

/** Starts a mock engine with flags that both know. */
export async function startMocker(
  store: Store,
  maker: Maker,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  model: string = TINY_WORDS_MODEL,
): Promise<Child> {
  if (maker === "stator") {
    return await startStator(store, { model, args: ["--engine", "mocker", ...args], env });
  }
  return start({
    name: "dynamo mocker",
    executable: PYTHON,
    args: ["-m", "dynamo.mocker", "--discovery-backend", "file", "--model-path", model, ...args],
    env: { ...store.env, DYN_LOG: "info", HOME: join(store.path, "mocker-home"), ...env },
    cwd: store.path,
  });
}

/** Requests that are in flight together. */
export interface Load {
  readonly concurrent: number;
  /** Requests one after the other, each so often. */
  readonly rounds: number;
  readonly promptTokens: number;
  /** Of them, how many begin every prompt. */
  readonly sharedTokens: number;
  readonly maxTokens: number;
}

/** Medians of a load. Times are in milliseconds, rates a second. */
export interface Measured {
  readonly ttft: number;
  readonly itl: number;
  readonly requestRate: number;
  readonly tokenRate: number;
  /** Mean of tokens found in the cache. */
  readonly cached: number;
}

/** Runs a load; `salt` keeps its prompts apart from those of others. */
export async function measure(frontend: Frontend, load: Load, salt: number): Promise<Measured> {
  const [ttfts, itls]: [number[], number[]] = [[], []];
  let [tokens, cached] = [0, 0];
  const begin = performance.now();
  await Promise.all(Array.from({ length: load.concurrent }, async (_, lane) => {
    for (let round = 0; round < load.rounds; round++) {
      const sentAt = performance.now();
      let last = sentAt;
      let seen = 0;
      const body = {
        model: TINY_WORDS_MODEL,
        prompt: promptOf(load, salt, lane * load.rounds + round),
        max_tokens: load.maxTokens,
        stream_options: { include_usage: true },
      };
      const answer = await frontend.stream(COMPLETIONS, body, {
        onEvent: ({ choices = [], usage }) => {
          if (usage) cached += usage.prompt_tokens_details?.cached_tokens ?? 0;
          if (!choices[0]?.text) return;
          const now = performance.now();
          (seen++ === 0 ? ttfts : itls).push(now - last);
          last = now;
        },
      });
      if (answer.finishReason !== "length") throw new Error(JSON.stringify(answer).slice(0, 500));
      tokens += seen;
    }
  }));
  const seconds = (performance.now() - begin) / 1000;
  const requests = load.concurrent * load.rounds;
  return {
    ttft: median(ttfts),
    itl: median(itls),
    requestRate: requests / seconds,
    tokenRate: tokens / seconds,
    cached: cached / requests,
  };
}

/** Latencies as a worker counts them itself, without the way to the client. @unit seconds */
export interface Latencies {
  readonly ttft: { readonly sum: number; readonly count: number };
  readonly itl: { readonly sum: number; readonly count: number };
}

/** Reads the latencies on a worker's `/metrics`. */
export async function latencies(port: number): Promise<Latencies> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const read = (name: string) => Number(new RegExp(`^vllm:${name}\\{[^}]*\\} (\\S+)`, "m").exec(text)?.[1]);
  const family = (name: string) => ({ sum: read(`${name}_sum`), count: read(`${name}_count`) });
  return { ttft: family("time_to_first_token_seconds"), itl: family("inter_token_latency_seconds") };
}

/** Mean of what came between two readings. @unit milliseconds */
export function meanBetween(before: Latencies, after: Latencies, what: keyof Latencies): number {
  return 1000 * (after[what].sum - before[what].sum) / (after[what].count - before[what].count);
}

function promptOf({ promptTokens, sharedTokens }: Load, salt: number, number: number): number[] {
  return Array.from(
    { length: promptTokens },
    (_, i) => 300 + (i < sharedTokens ? salt * 131 + i * 7 : salt * 131 + number * 17 + i * (3 + number)) % 3000,
  );
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
