/**
 * The forward passes of an engine on their way to planners.
 *
 * @module
 */
import type { RankRange } from "../engine/dp_rank.ts";
import type { Engine } from "../engine/engine.ts";
import {
  checkForwardPass,
  type ForwardPass,
  type ForwardPassPublisher,
  type QueuedWork,
  type ScheduledWork,
} from "../engine/forward_pass.ts";
import type { EventPlane, Payload } from "../event_plane/event_plane.ts";
import type { Clock } from "../platform/platform.ts";
import { FORWARD_PASS_TOPIC } from "../protocol/event.ts";
import { encodeForwardPass, type QueuedRequests, type ScheduledRequests } from "../protocol/load_event.ts";
import type { EndpointName } from "../protocol/record.ts";
import type { Planes } from "./backends.ts";
import { callHook } from "./engine_hook.ts";
import { announceChannel, endpointScope } from "./event_records.ts";

/** What forward passes are published with. */
export interface ForwardPassParts {
  /** How they reach planners. */
  readonly events: EventPlane;
  /** Records. */
  readonly planes: Pick<Planes, "discovery">;
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** The ranks of this worker. */
  readonly ranks: RankRange;
  /** Time. */
  readonly clock: Clock;
}

/** How long a rank is silent before it counts as idle, and time between two messages that say so. @unit milliseconds */
const IDLE_MS = 1000;

/**
 * Hands the engine the way to report its passes, if it wants one. Disposing what is returned ends it.
 *
 * @throws {DynamoError} `EngineShutdown` if the engine cannot take it.
 * @source dynamo-llm 1.6.1, `fpm_publisher.rs`: one publisher for all ranks, a counter and idle heartbeats for each
 */
export async function openForwardPasses(engine: Engine, parts: ForwardPassParts): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  if (engine.attachForwardPassPublisher === undefined) return undo.move();
  const { events, planes: { discovery }, name, ranks, clock } = parts;
  const publisher = undo.use(await events.publisher(endpointScope(name), FORWARD_PASS_TOPIC));
  undo.use(await announceChannel(discovery, publisher));
  const report = new ForwardPassReport(discovery.instanceId, ranks, clock, (payload) => publisher.publish(payload));
  undo.defer(() => report.close());
  callHook("attachForwardPassPublisher", () => engine.attachForwardPassPublisher?.(report));
  return undo.move();
}

/** What is known of a rank. */
interface Rank {
  readonly dpRank: number;
  /** Messages so far. */
  count: bigint;
  /** When it is idle, if nothing is published before. @unit milliseconds */
  idleAt: number;
}

/** Makes the messages of one worker. One timer watches all ranks, so a pass costs nothing but its message. */
class ForwardPassReport implements ForwardPassPublisher {
  readonly #workerId: string;
  readonly #range: RankRange;
  readonly #ranks: readonly Rank[];
  readonly #clock: Clock;
  readonly #send: (payload: Payload) => void;
  #timer: Disposable | null = null;
  #isOpen = true;

  constructor(workerId: bigint, range: RankRange, clock: Clock, send: (payload: Payload) => void) {
    this.#range = range;
    this.#workerId = String(workerId);
    this.#clock = clock;
    this.#send = send;
    const idleAt = clock.now() + IDLE_MS;
    this.#ranks = Array.from({ length: range.size }, (_, i) => ({ dpRank: range.start + i, count: 0n, idleAt }));
    this.#watch();
  }

  publish(dpRank: number, pass: ForwardPass): void {
    if (!this.#isOpen) return;
    checkForwardPass(this.#range, dpRank, pass);
    this.#tell(this.#ranks[dpRank - this.#range.start]!, pass);
  }

  /** Ends publishing; later calls do nothing. */
  close(): void {
    this.#isOpen = false;
    this.#timer?.[Symbol.dispose]();
  }

  #tell(rank: Rank, { wallTimeSeconds, scheduled, queued }: ForwardPass): void {
    rank.idleAt = this.#clock.now() + IDLE_MS;
    rank.count++;
    // Most deployments have no planner.
    this.#send(() =>
      encodeForwardPass({
        version: 1,
        worker_id: this.#workerId,
        dp_rank: rank.dpRank,
        counter_id: rank.count,
        wall_time: wallTimeSeconds,
        scheduled_requests: scheduledRequests(scheduled),
        queued_requests: queuedRequests(queued),
      })
    );
  }

  #watch(): void {
    const next = Math.min(...this.#ranks.map(({ idleAt }) => idleAt));
    this.#timer = this.#clock.timer(Math.max(0, next - this.#clock.now()), () => {
      for (const rank of this.#ranks) if (rank.idleAt <= this.#clock.now()) this.#tell(rank, IDLE);
      this.#watch();
    });
  }
}

const NOTHING = { numPrefillRequests: 0, sumPrefillTokens: 0, numDecodeRequests: 0, sumDecodeKvTokens: 0 };
const IDLE: ForwardPass = { wallTimeSeconds: 0, scheduled: { ...NOTHING, sumPrefillKvTokens: 0 }, queued: NOTHING };

function scheduledRequests(work: ScheduledWork): ScheduledRequests {
  return { ...queuedRequests(work), sum_prefill_kv_tokens: work.sumPrefillKvTokens };
}

function queuedRequests(work: QueuedWork): QueuedRequests {
  return {
    num_prefill_requests: work.numPrefillRequests,
    sum_prefill_tokens: work.sumPrefillTokens,
    var_prefill_length: work.varPrefillLength ?? 0,
    num_decode_requests: work.numDecodeRequests,
    sum_decode_kv_tokens: work.sumDecodeKvTokens,
    var_decode_kv_tokens: work.varDecodeKvTokens ?? 0,
  };
}
