/**
 * One request's way through the gateway: worker, answer, pieces.
 *
 * @module
 */
import type { Client, ResponseItem, ResponseStream } from "../client/client.ts";
import type { LiveWorker } from "../client/watch.ts";
import type { Clock } from "../platform/platform.ts";
import type { CompletionUsage } from "../protocol/output.ts";
import { Answer, type Piece } from "./answer.ts";
import type { Choice } from "./openai_answer.ts";
import type { PreprocessedRequest, ServedModel } from "./preprocess.ts";

/** Time a worker has to end a stream after its last chunk. @unit milliseconds */
const SETTLE_MS = 1000;

/** What a generation needs. */
export interface GenerationParts {
  /** To reach the worker. */
  readonly client: Client;
  /** Time. */
  readonly clock: Clock;
  /** The worker. */
  readonly worker: LiveWorker;
  /** The model. */
  readonly model: ServedModel;
  /** Request id. */
  readonly id: string;
  /** Headers that go along. */
  readonly headers: Readonly<Record<string, string>>;
  /** `x-dynamo-meta-*` entries. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

/** The answer to one prompt, as it comes. */
export interface Generation {
  /** Token counts so far. */
  readonly usage: CompletionUsage;
  /** The pieces; the worker's stream is ended on every way out. */
  pieces(): AsyncGenerator<Piece, void>;
}

/**
 * Sends a request to its worker.
 *
 * @throws {ClientError} If the worker cannot take it.
 */
export async function openGeneration(request: PreprocessedRequest, parts: GenerationParts): Promise<Generation> {
  const { client, worker, id, headers, metadata, signal } = parts;
  const stream = await client.send(worker.instance, { id, body: request, headers, metadata, signal });
  const answer = new Answer(request, parts.model.text.tokenizer);
  return {
    get usage() {
      return answer.usage;
    },
    pieces: () => pieces(stream, answer, parts.clock),
  };
}

async function* pieces(stream: ResponseStream, answer: Answer, clock: Clock): AsyncGenerator<Piece, void> {
  const items = stream[Symbol.asyncIterator]();
  let isOpen = true;
  try {
    for (let next = await items.next(); !next.done; next = await items.next()) {
      const { data } = next.value;
      if (data === undefined || data === null) continue;
      const piece = answer.take(data);
      if (answer.isDone && (data.finish_reason ?? null) !== null) {
        // The worker ends by itself now; a kill would look like a client that left.
        isOpen = false;
        settle(stream, items, clock);
      }
      yield piece;
      if (answer.isDone) return;
    }
    isOpen = false;
    yield answer.end();
  } finally {
    if (isOpen) stream.kill();
  }
}

/** Reads a finished stream to its end, which should come at once. */
async function settle(stream: ResponseStream, items: AsyncIterator<ResponseItem>, clock: Clock): Promise<void> {
  using _timeout = clock.timer(SETTLE_MS, () => stream.kill());
  try {
    while (!(await items.next()).done);
  } catch {
    // The answer is whole; how the connection ended is of no interest to the client.
  }
}

/** Reads a generation to its end. */
export async function collect(generation: Generation): Promise<Choice> {
  const texts: string[] = [];
  const logprobs: Piece["logprobs"][number][] = [];
  let finishReason: Piece["finishReason"] = null;
  for await (const piece of generation.pieces()) {
    texts.push(piece.text);
    logprobs.push(...piece.logprobs);
    finishReason = piece.finishReason;
  }
  return { piece: { text: texts.join(""), logprobs, finishReason }, usage: generation.usage };
}
