/**
 * The schedulers of a live worker and the requests that are in them.
 *
 * @module
 */
import { DynamoError, type EngineClock, type GenerateRequest, invalidArgument } from "@stator/worker";
import { createGroup } from "../engine_factory.ts";
import type { EngineGroup, RankPass } from "../engine_group.ts";
import type { EngineRequest, RequestSpec } from "../engine_request.ts";
import { rankArgs } from "../launch_args.ts";
import { COMPLETED, REJECTED, TOKEN } from "../pass.ts";
import type { RankScheduler } from "../rank_scheduler.ts";
import type { AnswerTokens } from "./answer_tokens.ts";
import { wordAt } from "./dice.ts";
import { Driver } from "./driver.ts";
import { stallMs } from "./faults.ts";
import { KvPublishing } from "./kv_publishing.ts";
import { LiveRequest } from "./live_request.ts";
import { NativeMetrics } from "./native_metrics.ts";
import type { MockerSettings } from "./settings.ts";
import { TokenSequence } from "./token_sequence.ts";

/** One scheduler for each rank, one driver for all of them, a channel for each request. */
export class LiveGroup {
  /** What routers and planners are told through. */
  readonly publishing: KvPublishing = new KvPublishing();
  /** What `/metrics` shows. */
  readonly metrics: NativeMetrics;
  /** Whether anybody is to hear of cached blocks. */
  readonly publishesEvents: boolean;
  readonly #settings: MockerSettings;
  readonly #group: EngineGroup;
  readonly #driver: Driver;
  readonly #active = new Map<number, LiveRequest>();
  #isClosed = false;
  #failure: Error | undefined;
  #requests = 0;
  #turn = 0;

  /** Makes an idle one. @throws {RangeError} If a setting asks for what is not modelled. */
  constructor(settings: MockerSettings) {
    this.#settings = settings;
    const { launch, table, faults } = settings;
    const { enable_prefix_caching, worker_type, backend } = launch.engine;
    this.publishesEvents = enable_prefix_caching && worker_type !== "decode";
    const parts = { table, tensorParallelSize: launch.tensor_parallel_size };
    this.#group = createGroup(rankArgs(launch, this.publishesEvents), launch.dp_size, 0, parts);
    this.metrics = new NativeMetrics(backend, this.#group);
    this.#driver = new Driver(this.#group, this, {
      stallMs: (pass) => stallMs(faults, pass),
    });
  }

  /** Begins the start-up: requests that come before its end wait for it. */
  begin(clock: EngineClock): void {
    this.#driver.holdUntil(clock.now() + 1000 * (this.#settings.launch.startup_time ?? 0));
  }

  /** Requests that have a stream. */
  get active(): number {
    return this.#active.size;
  }

  /** Its ranks, to look at. */
  get ranks(): readonly Pick<RankScheduler, "gauges" | "sizes">[] {
    return this.#group.ranks;
  }

  /** Whether all streams are to end. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Makes a request that no scheduler knows yet.
   *
   * @throws {DynamoError} `InvalidArgument` if there is no such rank.
   */
  prepare(request: GenerateRequest, clock: EngineClock, maxOutputTokens: number, answer: AnswerTokens): LiveRequest {
    const { launch, cacheAnswers } = this.#settings;
    const rank = this.#rankOf(request);
    const id = this.#requests++;
    // As in the peer, a cache knows generated tokens by numbers that no prompt has, unless it is asked to be better.
    const answerAt = cacheAnswers ? (place: number) => answer.at(place) : (place: number) => wordAt(~id, place);
    const { lora_name, cache_salt } = request.routing;
    const options = {
      ...(lora_name === undefined ? {} : { loraName: lora_name }),
      ...(cache_salt === undefined ? {} : { cacheNamespace: cache_salt }),
    };
    const named = (size: number) => new TokenSequence(request.token_ids, size, options, answerAt);
    const { block_size, prefix_match_unit: unit } = launch.engine;
    const live = new LiveRequest(
      {
        id,
        sequence: named(block_size),
        units: unit === undefined ? undefined : named(unit),
        promptTokens: request.token_ids.length,
        maxOutputTokens,
      },
      rank,
      clock,
    );
    this.metrics.began(request.model);
    if (this.#failure !== undefined) throw this.#failure;
    this.#active.set(id, live);
    return live;
  }

  /** Puts a request into the queue of its rank. @param isSource Whether its blocks are kept for another worker. */
  submit(live: LiveRequest, isSource = false): void {
    const { rank, spec, clock } = live;
    if (this.#blocksForEver(spec)) live.signal(COMPLETED | REJECTED);
    else if (isSource) live.request = this.#driver.submitSource(rank, spec, clock);
    else live.request = this.#driver.submit(rank, spec, clock);
  }

  /** Asks for room for a request whose prompt another worker computes. @throws {RangeError} If it can never fit. */
  reserve(live: LiveRequest): void {
    live.request = this.#driver.reserve(live.rank, live.spec);
    this.#publish(live.rank);
  }

  /** Lets a request with room and prompt decode; `done` is called when it may. */
  activate(live: LiveRequest, done: () => void): void {
    this.#betweenPasses(live, (rank, request) => rank.activateDestination(request), done);
  }

  /** Lets go of the blocks of a prompt that has been handed over; `done` is called when they are free. */
  releaseSource(live: LiveRequest, done: () => void): void {
    this.#betweenPasses(live, (rank, request) => rank.releaseSource(request), done);
  }

  /** Forgets a request; if it is still in the scheduler, that forgets it too. */
  release(live: LiveRequest): void {
    const { rank, spec, request, clock } = live;
    this.#active.delete(spec.id);
    if (request === undefined || (live.isOver && request.status !== "held")) return;
    this.#driver.cancel(rank, request, clock);
    this.#publish(rank);
  }

  /** Lets every stream end as cancelled, then ends the passes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const live of this.#active.values()) live.wake();
    await this.#driver.stop();
  }

  /** Publishes what a pass brought: what the caches hold, its figures, then tokens, then how full the caches are. */
  passed(passes: readonly RankPass[], now: number): void {
    const { ranks } = this.#group;
    for (const { rank } of passes) this.publishing.publishEvents(rank, ranks[rank]!);
    for (const { rank, pass } of passes) this.publishing.publishPass(rank, pass.forward);
    for (const { rank, pass } of passes) {
      for (const { request, reusedTokens } of pass.admissions) {
        this.metrics.admitted(request.promptTokens, reusedTokens);
      }
      for (let i = 0; i < pass.requests.length; i++) this.#signal(pass.requests[i]!.id, pass.flags[i]!, rank, now);
    }
    for (const { rank } of passes) this.#tellHandoffs(rank);
    for (const { rank } of passes) this.publishing.publishLoad(rank, ranks[rank]!);
  }

  /** Publishes what copies that are over brought to these ranks. */
  copied(ranks: readonly number[]): void {
    for (const rank of ranks) {
      this.publishing.publishEvents(rank, this.#group.ranks[rank]!);
      this.publishing.publishLoad(rank, this.#group.ranks[rank]!);
    }
  }

  /** Fails every stream: a rank that cannot go on poisons the whole worker. */
  failed(error: unknown): void {
    this.#failure = DynamoError.from(error);
    for (const live of this.#active.values()) live.fail(this.#failure);
  }

  #betweenPasses(
    live: LiveRequest,
    run: (rank: RankScheduler, request: EngineRequest) => void,
    done: () => void,
  ): void {
    this.#driver.betweenPasses(() => {
      if (live.request !== undefined) run(this.#group.ranks[live.rank]!, live.request);
      this.#publish(live.rank);
      done();
    }, live.clock);
  }

  /** Tells what a step has changed outside of passes; what a pass under way changes is not to be seen before its end. */
  #publish(rank: number): void {
    if (!this.#group.isBusy) {
      this.publishing.publishEvents(rank, this.#group.ranks[rank]!);
      this.#tellHandoffs(rank);
    }
    this.publishing.publishLoad(rank, this.#group.ranks[rank]!);
  }

  #tellHandoffs(rank: number): void {
    for (const event of this.#group.ranks[rank]!.takeHandoffs()) this.#active.get(event.request.id)?.onHandoff?.(event);
  }

  #signal(id: number, flags: number, rank: number, now: number): void {
    const live = this.#active.get(id);
    if (live === undefined) return;
    live.signal(flags);
    if (this.#settings.launch.engine.worker_type === "prefill") return;
    if ((flags & TOKEN) !== 0) {
      if (live.lastTokenAt === undefined) this.metrics.observe(rank, "ttft", now - live.arrivedAt);
      else this.metrics.observe(rank, "itl", now - live.lastTokenAt);
      live.lastTokenAt = now;
    }
    if (live.isOver && !live.isRejected) this.metrics.observe(rank, "e2e", now - live.arrivedAt);
  }

  /** SGLang's scheduler lets a request that can never fit wait at the head of its queue, and all others behind it. */
  #blocksForEver({ promptTokens, maxOutputTokens }: RequestSpec): boolean {
    const { backend, block_size, num_gpu_blocks, sglang } = this.#settings.launch.engine;
    if (backend !== "sglang") return false;
    const prompt = Math.ceil(promptTokens / block_size) * block_size;
    return prompt + Math.min(maxOutputTokens, sglang.clip_max_new_tokens) >= num_gpu_blocks * block_size;
  }

  #rankOf({ routing: { dp_rank } }: GenerateRequest): number {
    const { dp_size } = this.#settings.launch;
    if (dp_rank === undefined || dp_rank === null) return this.#turn++ % dp_size;
    if (dp_rank < dp_size) return dp_rank;
    throw invalidArgument(`dp_rank ${dp_rank} is out of bounds for dp_size ${dp_size}`);
  }
}
