/**
 * The mock engine as a worker runs it.
 *
 * @module
 */
import {
  chunk,
  type CompletionUsage,
  defineEngine,
  DynamoError,
  enforcePrefillMaxTokens,
  type Engine,
  type EngineConfig,
  type GenerateChunk,
  type GenerateContext,
  type GenerateRequest,
  invalidArgument,
  requirePrefillResult,
  usage,
} from "@stator/worker";
import { withLogprobs } from "../../logprobs.ts";
import { transferMs, transferTiming } from "../handoff.ts";
import type { MockerSettings } from "./settings.ts";
import { type AnswerPlan, AnswerTokens } from "./answer_tokens.ts";
import type { BootstrapNet } from "./bootstrap_net.ts";
import { type RequestFault, requestFault } from "./faults.ts";
import { Handoffs } from "./handoffs.ts";
import { LiveGroup } from "./live_group.ts";
import type { LiveRequest } from "./live_request.ts";
import { nodeBootstrapNet } from "./node_bootstrap_net.ts";
import { replayKeyOf } from "./planned_answers.ts";
import type { Handoff } from "./source_handoff.ts";

/**
 * Makes a live mock engine.
 *
 * @param net How it gets to other workers.
 * @throws {RangeError} If a setting asks for what is not modelled.
 */
export function createLiveEngine(settings: MockerSettings, net: BootstrapNet = nodeBootstrapNet): Engine {
  return engineOn(new LiveGroup(settings), settings, net);
}

/** The engine whose requests a group schedules. @param settings Those of the group. */
export function engineOn(group: LiveGroup, settings: MockerSettings, net: BootstrapNet = nodeBootstrapNet): Engine {
  const handoffs = new Handoffs(settings, group, net);
  const { publishing } = group;
  const { engine, dp_size, dynamo: { zmq_kv_events_port: events, zmq_replay_port: replay } } = settings.launch;
  const publishes = group.publishesEvents;
  return defineEngine({
    start: async (_workerId, signal, { clock }) => {
      await clock.sleepUntil(clock.now() + settings.slowStartMs, signal);
      if (publishes && events !== null) {
        await publishing.openSockets(dp_size, { events, ...(replay === null ? {} : { replay }) }, engine.block_size);
      }
      group.begin(clock);
      return { ...configOf(settings), ...await handoffs.start() };
    },
    generate: (request, ctx) => answer({ group, handoffs, settings }, request, ctx),
    healthCheckPayload: () => ({
      token_ids: [1],
      stop_conditions: { max_tokens: 1, ignore_eos: true },
      sampling_options: { temperature: 0 },
    }),
    kvEventSources: () => publishes ? publishing.sources(dp_size) : [],
    componentMetricsDpRanks: () => Array.from({ length: dp_size }, (_, rank) => rank),
    attachSnapshotPublisher: (publisher) => publishing.attach(publisher),
    attachForwardPassPublisher: (publisher) => publishing.attachPasses(publisher),
    metricsSources: () => [{ name: engine.backend, expfmt: () => group.metrics.text() }],
    isQuiescent: () => group.active === 0 && handoffs.size === 0,
    cleanup: async () => {
      await Promise.all([group.close(), handoffs.close()]);
      await publishing[Symbol.asyncDispose]();
    },
  });
}

function configOf({ modelName, launch: { engine, dp_size } }: MockerSettings): EngineConfig {
  return {
    model: modelName,
    kvCacheBlockSize: engine.block_size,
    totalKvBlocks: engine.num_gpu_blocks,
    dataParallelSize: dp_size,
    ...(engine.max_model_len === null ? {} : { contextLength: engine.max_model_len }),
    ...(engine.max_num_seqs === null ? {} : { maxNumSeqs: engine.max_num_seqs }),
    ...(engine.max_num_batched_tokens === null ? {} : { maxNumBatchedTokens: engine.max_num_batched_tokens }),
    runtimeData: { output_replay_consumer: true },
  };
}

/** What all requests share. */
interface Parts {
  readonly group: LiveGroup;
  readonly handoffs: Handoffs;
  readonly settings: MockerSettings;
}

/** Answers one request. Nothing of it is left in the scheduler, however the stream ends. */
async function* answer(parts: Parts, asked: GenerateRequest, ctx: GenerateContext): AsyncGenerator<GenerateChunk> {
  const { group, handoffs, settings } = parts;
  const isPrefill = settings.launch.engine.worker_type === "prefill";
  const request = isPrefill ? enforcePrefillMaxTokens(asked) : asked;
  if (ctx.signal.aborted) return yield chunk.cancelled(usage(request.token_ids.length, 0));
  if (settings.launch.engine.worker_type === "decode" && !isMeeting(request)) requirePrefillResult(request);
  const plan = planOf(request, settings, ctx);
  const { maxTokens } = plan;
  const tokens = new AnswerTokens(request, settings.answers, plan);
  const live = group.prepare(request, ctx.clock, maxTokens, tokens);
  const wake = () => live.wake();
  ctx.signal.addEventListener("abort", wake);
  let handoff: Handoff | undefined;
  try {
    handoff = handoffs.begin(live, request, ctx);
    if (handoff === undefined) group.submit(live);
    const stream = { group, settings, request, ctx, live, tokens, fault: faultOf(settings, live, maxTokens) };
    yield* isPrefill ? prefilled(stream) : decoded(stream);
  } finally {
    ctx.signal.removeEventListener("abort", wake);
    handoff?.end();
    group.release(live);
  }
}

/** One answer on its way. */
interface Stream {
  readonly group: LiveGroup;
  readonly settings: MockerSettings;
  readonly request: GenerateRequest;
  readonly ctx: GenerateContext;
  readonly live: LiveRequest;
  readonly tokens: AnswerTokens;
  readonly fault: RequestFault | undefined;
}

async function* decoded(stream: Stream): AsyncGenerator<GenerateChunk> {
  const { request, live, tokens } = stream;
  for (let place = 0;; place++) {
    const state = await nextState(stream, place);
    if (state === "cancelled") return yield chunk.cancelled(counts(stream, place));
    if (state === "rejected") return yield chunk.error(rejection(live));
    if (state === "over") return yield chunk.length(counts(stream, place));
    live.ready--;
    const id = tokens.at(place);
    if (tokens.endsWith(id, place)) {
      return yield { ...withLogprobs(chunk.stop(counts(stream, place + 1), [id]), request), stop_reason: id };
    }
    const piece = withLogprobs(chunk.tokens([id]), request);
    yield place === 0 ? { ...piece, completion_usage: counts(stream, 1) } : piece;
  }
}

/** A frontend decides by the first chunk of a prefill leg, so there is only one. */
async function* prefilled(stream: Stream): AsyncGenerator<GenerateChunk> {
  const { live, tokens } = stream;
  const state = await nextState(stream, 0);
  if (state === "token") await handOver(stream);
  if (state === "cancelled" || isUnwanted(stream)) return yield chunk.cancelled(counts(stream, 0));
  if (state === "rejected" || live.handoffFailure !== undefined) return yield chunk.error(rejection(live));
  const ids = state === "token" ? [tokens.at(0)] : [];
  yield { ...chunk.length(counts(stream, ids.length), ids), disaggregated_params: HANDED_OVER };
  live.ready = 0;
}

/** Waits until the prompt has arrived at the decode worker, or does not. */
async function handOver(stream: Stream): Promise<void> {
  const { request, settings, ctx, live } = stream;
  if (isMeeting(request)) {
    while (!live.isHandedOver && live.handoffFailure === undefined && !isUnwanted(stream)) {
      if (live.error !== undefined) throw live.error;
      await live.changed();
    }
    return;
  }
  const prompt = request.token_ids.length;
  const ms = transferMs(transferTiming(settings.launch.engine, prompt), prompt);
  if (ms > 0) await Promise.race([ctx.clock.sleepUntil(ctx.clock.now() + ms, ctx.signal), live.changed()]);
}

/** What a mock decode worker is given: it needs nothing. @source dynamo-llm 1.6.1, `mocker.rs` */
const HANDED_OVER = "dummy";
const REJECTION = "request rejected: request exceeds worker admission limits";

function rejection({ handoffFailure }: LiveRequest): string {
  return handoffFailure === undefined ? REJECTION : `the prompt was not handed over: ${handoffFailure}`;
}

/** Waits for the next token or the end. A cancel wins over a token that is ready. */
async function nextState(
  stream: Stream,
  place: number,
): Promise<"token" | "over" | "rejected" | "cancelled"> {
  const { live, fault } = stream;
  for (;;) {
    if (isUnwanted(stream)) return "cancelled";
    if (live.error !== undefined) throw live.error;
    const isFaulty = fault?.afterTokens === place;
    if (isFaulty && fault?.kind === "fail") throw new DynamoError("Unknown", "a fault on purpose (--fail-rate)");
    if (live.handoffFailure !== undefined) return "rejected";
    if (!isFaulty) {
      if (live.ready > 0) return "token";
      if (live.isRejected) return "rejected";
      if (live.isOver) return "over";
    }
    await live.changed();
  }
}

function isUnwanted({ group, ctx }: Stream): boolean {
  return ctx.signal.aborted || group.isClosed;
}

function counts({ request, live }: Stream, completionTokens: number): CompletionUsage {
  return usage(request.token_ids.length, completionTokens, Math.max(0, live.request?.firstCachedTokens ?? 0));
}

function faultOf({ faults }: MockerSettings, live: LiveRequest, maxTokens: number): RequestFault | undefined {
  return requestFault(faults, live.spec.id, maxTokens);
}

/** A planned answer comes in its own length, but for a prefill worker, which has one token to say. */
function planOf(request: GenerateRequest, settings: MockerSettings, { log }: GenerateContext): AnswerPlan {
  const key = replayKeyOf(request.annotations);
  const ids = key === undefined ? undefined : settings.plannedAnswers?.get(key);
  if (ids === undefined) {
    if (key !== undefined) log.warn("No answer is planned for the request", { output_replay_id: key });
    return { maxTokens: maxTokensOf(request, settings) };
  }
  const isPrefill = settings.launch.engine.worker_type === "prefill";
  return { maxTokens: isPrefill ? Math.min(1, ids.length) : ids.length, ids };
}

function maxTokensOf({ stop_conditions }: GenerateRequest, { defaultMaxTokens }: MockerSettings): number {
  const wanted = stop_conditions.max_tokens ?? defaultMaxTokens;
  if (wanted !== undefined) return wanted;
  throw invalidArgument("`max_output_tokens` (or `max_tokens`) is required by the mocker worker");
}

/** Whether the frontend wants prefill and decode workers to meet. */
function isMeeting({ bootstrap_info }: GenerateRequest): boolean {
  return (bootstrap_info ?? undefined) !== undefined;
}
