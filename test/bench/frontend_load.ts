/**
 * A closed loop of requests through a frontend over HTTP, each token timed.
 *
 * @module
 */
import { COMPLETIONS, freshConnections } from "../support/frontend.ts";
import { pause } from "../support/processes.ts";
import { pseudoRandom } from "../support/pseudo_random.ts";

/** Both ends are in it. */
export type Range = readonly [least: number, most: number];

/** What is sent in one round. Lengths and pauses are drawn from ranges, so that requests do not march in step. */
export interface Load {
  /** Requests of a round. */
  readonly requests: number;
  /** Lanes, each of which sends its next request when its last has ended. */
  readonly concurrent: number;
  /** Pause of a lane before each of its requests. @unit milliseconds */
  readonly pauseMs: Range;
  /** Tokens that begin every prompt. */
  readonly sharedTokens: number;
  /** Further tokens of a prompt, least and most. */
  readonly ownTokens: Range;
  /** Tokens of an answer, least and most. */
  readonly answerTokens: Range;
}

/** What a client saw of one round. Times are in milliseconds, rates a second. */
export interface Round {
  readonly ttft: readonly number[];
  readonly itl: readonly number[];
  readonly requestRate: number;
  readonly tokenRate: number;
}

/**
 * Sends the requests of one round to a frontend and waits for all answers. The same number makes the same requests.
 *
 * @throws {Error} If an answer is not whole.
 */
export async function sendRound(url: string, model: string, load: Load, round: number): Promise<Round> {
  const requests = requestsOf(load, round);
  const [ttft, itl]: [number[], number[]] = [[], []];
  let tokens = 0;
  const begin = performance.now();
  await Promise.all(Array.from({ length: load.concurrent }, async () => {
    for (let next = requests.shift(); next !== undefined; next = requests.shift()) {
      if (next.pauseMs > 0) await pause(next.pauseMs);
      const times = await timesOf(url, model, next);
      tokens += next.maxTokens;
      ttft.push(times[1]! - times[0]!);
      for (let i = 2; i <= next.maxTokens; i++) itl.push(times[i]! - times[i - 1]!);
    }
  }));
  const seconds = (performance.now() - begin) / 1000;
  return { ttft, itl, requestRate: load.requests / seconds, tokenRate: tokens / seconds };
}

interface Request {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly pauseMs: number;
}

function requestsOf({ requests, pauseMs, sharedTokens, ownTokens, answerTokens }: Load, round: number): Request[] {
  const random = pseudoRandom(round);
  const within = ([least, most]: Range) => least + random.below(most - least + 1);
  const shared = Array.from({ length: sharedTokens }, (_, i) => 300 + i);
  return Array.from({ length: requests }, () => ({
    prompt: [...shared, ...Array.from({ length: within(ownTokens) }, () => 300 + random.below(3000))],
    maxTokens: within(answerTokens),
    pauseMs: within(pauseMs),
  }));
}

/** When a request was sent, and when each event of its answer came. */
async function timesOf(url: string, model: string, request: Request): Promise<number[]> {
  const { prompt, maxTokens } = request;
  const stream_options = { include_usage: true };
  const body = JSON.stringify({ model, prompt, max_tokens: maxTokens, stream: true, stream_options });
  const headers = { "content-type": "application/json" };
  const times = [performance.now()];
  const response = await fetch(url + COMPLETIONS, { method: "POST", headers, body, client: freshConnections });
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let last = 0;
  for await (const bytes of response.body ?? []) {
    const now = performance.now();
    for (const byte of bytes) {
      if (byte === LINE_FEED && last === LINE_FEED) times.push(now);
      last = byte;
    }
    parts.push(bytes);
  }
  // One for each token, one for the end, usage, and "[DONE]".
  if (times.length === 1 + maxTokens + 3) return times;
  const end = (await new Blob(parts).text()).slice(-500);
  throw new Error(`${response.status} with ${times.length - 1} events for ${maxTokens} tokens: …${end}`);
}

const LINE_FEED = 10;
