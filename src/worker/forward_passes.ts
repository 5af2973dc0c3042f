/**
 * The forward passes of an engine on their way to planners.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { ForwardPass, ForwardPassPublisher, QueuedWork, ScheduledWork } from "../engine/forward_pass.ts";
import type { EventPlane } from "../event_plane/event_plane.ts";
import type { Clock } from "../platform/platform.ts";
import { FORWARD_PASS_TOPIC } from "../protocol/event.ts";
import { encodeForwardPass, type QueuedRequests, type ScheduledRequests } from "../protocol/load_event.ts";
import type { EndpointName } from "../protocol/record.ts";
import type { Planes } from "./backends.ts";
import { callHook } from "./engine_hook.ts";
import { announceChannel, endpointScope } from "./event_records.ts";
import type { Ranks } from "./kv_publishers.ts";

/** What forward passes are published with. */
export interface ForwardPassParts {
  /** How they reach planners. */
  readonly events: EventPlane;
  /** Records. */
  readonly planes: Pick<Planes, "discovery">;
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** The ranks of this worker. */
  readonly ranks: Ranks;
  /** Time. */
  readonly clock: Clock;
}

/** How long a rank is silent before it is told to be idle, and between two such messages. @unit milliseconds */
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
  /** When the last one was sent. @unit milliseconds */
  toldAt: number;
}

/** Makes the messages of one worker. One timer watches all ranks, so a pass costs nothing but its message. */
class ForwardPassReport implements ForwardPassPublisher {
  readonly #workerId: string;
  readonly #ranks: readonly Rank[];
  readonly #clock: Clock;
  readonly #send: (payload: Uint8Array) => void;
  #timer: Disposable | null = null;
  #isOpen = true;

  constructor(workerId: bigint, { start, size }: Ranks, clock: Clock, send: (payload: Uint8Array) => void) {
    this.#workerId = String(workerId);
    this.#clock = clock;
    this.#send = send;
    const toldAt = clock.now();
    this.#ranks = Array.from({ length: size }, (_, i) => ({ dpRank: start + i, count: 0n, toldAt }));
    this.#watch();
  }

  publish(dpRank: number, pass: ForwardPass): void {
    if (!this.#isOpen) return;
    const first = this.#ranks[0]!.dpRank;
    const rank = this.#ranks[dpRank - first];
    if (rank === undefined) {
      const last = first + this.#ranks.length - 1;
      throw refused(dpRank, `the ranks of this worker are ${first} to ${last}`);
    }
    check(dpRank, pass);
    this.#tell(rank, pass);
  }

  /** Ends publishing; later calls do nothing. */
  close(): void {
    this.#isOpen = false;
    this.#timer?.[Symbol.dispose]();
  }

  #tell(rank: Rank, { wallTimeSeconds, scheduled, queued }: ForwardPass): void {
    rank.toldAt = this.#clock.now();
    this.#send(encodeForwardPass({
      version: 1,
      worker_id: this.#workerId,
      dp_rank: rank.dpRank,
      counter_id: ++rank.count,
      wall_time: wallTimeSeconds,
      scheduled_requests: scheduledRequests(scheduled),
      queued_requests: queuedRequests(queued),
    }));
  }

  #watch(): void {
    const oldest = Math.min(...this.#ranks.map(({ toldAt }) => toldAt));
    this.#timer = this.#clock.timer(Math.max(0, oldest + IDLE_MS - this.#clock.now()), () => {
      const now = this.#clock.now();
      for (const rank of this.#ranks) if (now - rank.toldAt >= IDLE_MS) this.#tell(rank, IDLE);
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

const QUEUED_COUNTS = ["numPrefillRequests", "sumPrefillTokens", "numDecodeRequests", "sumDecodeKvTokens"] as const;
const SCHEDULED_COUNTS = [...QUEUED_COUNTS, "sumPrefillKvTokens"] as const;
const VARIANCES = ["varPrefillLength", "varDecodeKvTokens"] as const;

/** Holds a pass to what planners can read. */
function check(dpRank: number, { wallTimeSeconds, scheduled, queued }: ForwardPass): void {
  checkAmount(dpRank, "", "wallTimeSeconds", wallTimeSeconds);
  for (const name of SCHEDULED_COUNTS) checkCount(dpRank, "scheduled.", name, scheduled[name]);
  for (const name of QUEUED_COUNTS) checkCount(dpRank, "queued.", name, queued[name]);
  for (const name of VARIANCES) {
    checkAmount(dpRank, "scheduled.", name, scheduled[name] ?? 0);
    checkAmount(dpRank, "queued.", name, queued[name] ?? 0);
  }
}

function checkCount(dpRank: number, of: string, name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw refused(dpRank, `${of}${name} is ${value}, not a whole number from 0 on`);
}

function checkAmount(dpRank: number, of: string, name: string, value: number): void {
  if (Number.isFinite(value) && value >= 0) return;
  throw refused(dpRank, `${of}${name} is ${value}, not a number from 0 on`);
}

function refused(dpRank: number, problem: string): RangeError {
  return new RangeError(`Cannot publish a forward pass of rank ${dpRank}: ${problem}`);
}
