/**
 * The sample engine: counts token ids upwards at a fixed pace. Copy it to begin an engine of your own.
 *
 * @source dynamo 1.6.1, `dynamo/common/backend/sample_engine.py`: the same tokens, flags and hand-over
 * @module
 */
import { chunk, defineEngine, enforcePrefillMaxTokens, KvBlocks, requirePrefillResult, usage } from "@stator/worker";
import type { Engine, EngineModule, GenerateChunk } from "@stator/worker";
import { VOCABULARY, withLogprobs } from "./logprobs.ts";

/** Settings of the sample engine. */
export interface SampleEngineOptions {
  /** Name or folder of the model. @default "stator-sample" */
  readonly modelName?: string;
  /** Tokens of an answer when the request sets no limit. @default 16 */
  readonly maxTokens?: number;
  /** Time per token; 0 yields one token a turn of the event loop. @unit seconds @default 0.01 */
  readonly delay?: number;
  /** The worker's part in serving. @default "agg" */
  readonly disaggregationMode?: string;
}

const [BLOCK_SIZE, TOTAL_BLOCKS] = [16, 1000];

/** Makes a sample engine. */
export function sampleEngine(options: SampleEngineOptions = {}): Engine {
  const { modelName = "stator-sample", maxTokens = 16, delay = 0.01, disaggregationMode = "agg" } = options;
  const handle = () => crypto.randomUUID().replaceAll("-", "");
  const hasCache = disaggregationMode !== "encode";
  const cache = new KvBlocks({ totalBlocks: TOTAL_BLOCKS });
  let blockCount = 0n;
  /** Stores made-up blocks, as many as a prompt has, until it is disposed. */
  const storeBlocks = (prompt: number): Disposable => {
    const blockHashes = Array.from({ length: Math.max(1, Math.floor(prompt / BLOCK_SIZE)) }, () => ++blockCount);
    const tokenIds = Array.from({ length: BLOCK_SIZE * blockHashes.length }, (_, i) => i);
    return cache.store({ tokenIds, blockHashes });
  };

  return defineEngine({
    start: () =>
      Promise.resolve({
        model: modelName,
        contextLength: 2048,
        kvCacheBlockSize: BLOCK_SIZE,
        totalKvBlocks: TOTAL_BLOCKS,
        maxNumSeqs: 64,
        maxNumBatchedTokens: 2048,
      }),

    async *generate(request, ctx): AsyncGenerator<GenerateChunk> {
      const prompt = request.token_ids.length;
      if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt, 0));
      if (disaggregationMode === "encode") {
        const media = request.mm_processor_kwargs as Record<string, unknown> | undefined;
        return yield {
          ...chunk.stop(usage(prompt, 0)),
          encoder_result: { handle: `sample-encoder:${handle()}`, ...media },
        };
      }
      if (disaggregationMode === "decode") requirePrefillResult(request);
      const isPrefill = disaggregationMode === "prefill";
      const { stop_conditions } = isPrefill ? enforcePrefillMaxTokens(request) : request;
      const count = stop_conditions.max_tokens ?? maxTokens;
      if (count === 0) return yield chunk.length(usage(prompt, 0));
      using _blocks = storeBlocks(prompt);
      using _span = ctx.startSpan("sample.tokens", { prompt_len: prompt });
      const startedAt = ctx.clock.now();
      for (let i = 0; i < count; i++) {
        // Aiming at absolute times keeps lateness from adding up.
        if (delay > 0) await ctx.clock.sleepUntil(startedAt + 1000 * delay * (i + 1), ctx.signal);
        else if (i > 0) await ctx.clock.nextTurn();
        if (ctx.signal.aborted) {
          ctx.log.debug("The answer is not wanted any more", { tokens: i, of: count });
          return yield chunk.cancelled(usage(prompt, i));
        }
        const id = (i + 1) % VOCABULARY;
        const isLast = i + 1 === count;
        const piece = withLogprobs(isLast ? chunk.length(usage(prompt, count), [id]) : chunk.tokens([id]), request);
        if (!isPrefill) yield piece;
        else yield { ...piece, disaggregated_params: { sample_handle: handle(), completed_tokens: [id] } };
      }
    },

    healthCheckPayload: () => ({
      token_ids: [1],
      stop_conditions: { max_tokens: 1, ignore_eos: true },
      sampling_options: { temperature: 0 },
    }),

    kvEventSources: () => hasCache ? [cache.source] : [],
    componentMetricsDpRanks: () => hasCache ? [cache.dpRank] : [],
    attachSnapshotPublisher: (publisher) => cache.report(publisher),
    cleanup() {},
  });
}

const group = "Sample engine";

/** The sample engine with its command-line options. */
export const module: EngineModule = {
  options: [
    { key: "maxTokens", flag: "max-tokens", type: "integer", default: 16, min: 0, group, help: "tokens of an answer" },
    { key: "delay", flag: "delay", type: "number", default: 0.01, min: 0, unit: "seconds", group, help: "per token" },
  ],
  defaults: { component: "sample" },
  create: (values) => sampleEngine(values as SampleEngineOptions),
};
