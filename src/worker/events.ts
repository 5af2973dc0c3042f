/**
 * All that a worker tells others about what happens in it.
 *
 * @module
 */
import { rankRange } from "../engine/dp_rank.ts";
import type { Engine, EngineConfig } from "../engine/engine.ts";
import type { Log } from "../observe/log.ts";
import type { ModelName } from "../observe/metric_labels.ts";
import type { Begun } from "../pipeline/generate.ts";
import type { WorkerType } from "../protocol/model_card.ts";
import { countEvents } from "./event_figures.ts";
import { type FirstTokens, openFirstTokens } from "./first_tokens.ts";
import { openForwardPasses } from "./forward_passes.ts";
import { type KvPublishingParts, kvSources, publishKvEvents } from "./kv_publishers.ts";
import type { RecoveryParts } from "./kv_recovery.ts";
import type { ResolvedWorkerOptions } from "./options.ts";
import { openSnapshots } from "./snapshots.ts";

/** What events are made of. */
export interface WorkerEventsParts extends RecoveryParts, Pick<KvPublishingParts, "platform"> {
  /** The engine, started. */
  readonly engine: Engine;
  /** What `start` returned. */
  readonly config: EngineConfig;
  /** Complete settings. */
  readonly options: ResolvedWorkerOptions;
  /** The worker's part in serving. */
  readonly role: WorkerType;
  /** The served model. */
  readonly model: ModelName;
}

/** What a worker tells. Disposing it sends what waits, and takes its records back. */
export interface WorkerEvents extends AsyncDisposable {
  /** To be told of each request that begins; `null` if nobody wants to know. */
  readonly begun: Begun | null;
}

/**
 * Opens the publishers, in the order of the reference worker.
 *
 * @source dynamo-backend-common 1.6.1, `worker.rs`, after `start`
 */
export async function openEvents(parts: WorkerEventsParts): Promise<WorkerEvents> {
  const { engine, config, options, role, planes, name, clock, log } = parts;
  if (options.disableKvRouting) return { begun: null, [Symbol.asyncDispose]: () => Promise.resolve() };
  const events = planes.events === null ? null : countEvents(planes.events, parts.metrics, name);
  await using undo = new AsyncDisposableStack();
  undo.use(await openSnapshots(engine, { ...parts, events }));
  let firstTokens: FirstTokens | null = null;
  if (events !== null) {
    const isTold = role === "aggregated" || role === "decode";
    if (isTold) firstTokens = undo.use(await openFirstTokens(events, planes, name, clock));
    const ranks = rankRange(config);
    undo.use(await openForwardPasses(engine, { ...parts, events, ranks }));
    const sources = await kvSources(engine, ranks);
    const hasIndexer = role !== "encode" && options.localIndexer;
    if (isPublishable(sources, config, log)) {
      undo.use(await publishKvEvents(sources, { ...parts, events, blockSize: config.kvCacheBlockSize, hasIndexer }));
    }
  }
  const opened = undo.move();
  return {
    begun: firstTokens === null ? null : (body, request) => firstTokens.follow(body, request),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function isPublishable(
  sources: readonly unknown[],
  config: EngineConfig,
  log: Log,
): config is EngineConfig & { readonly kvCacheBlockSize: number } {
  if (sources.length === 0) return false;
  if (config.kvCacheBlockSize !== undefined) return true;
  log.warn(
    "This worker will not be KV-routed: start() returned no kvCacheBlockSize, so its KV events are not published",
  );
  return false;
}
