/**
 * The KV events of an engine on their way to routers: one publisher for each source.
 *
 * @module
 */
import type { RankRange } from "../engine/dp_rank.ts";
import type { Engine } from "../engine/engine.ts";
import type { KvEventSource } from "../engine/kv_source.ts";
import type { EventPlane, EventPublisher } from "../event_plane/event_plane.ts";
import { KvEventLog } from "../kv/event_log.ts";
import { LocalIndexer } from "../kv/local_indexer.ts";
import { PushSource } from "../kv/push_source.ts";
import { openZmqSource } from "../kv/zmq_source.ts";
import type { Log } from "../observe/log.ts";
import type { Net, Random } from "../platform/platform.ts";
import { DynamoError, invalidArgument } from "../protocol/error.ts";
import { KV_EVENTS_TOPIC } from "../protocol/event.ts";
import { announceChannel, announceSource, endpointScope } from "./event_records.ts";
import { type RecoveryParts, serveRecovery } from "./kv_recovery.ts";
import { SelfTest } from "./kv_self_test.ts";

/** What KV events are published with. */
export interface KvPublishingParts extends RecoveryParts {
  /** How events leave. */
  readonly events: EventPlane;
  /** Sockets and chance, for engines with sockets of their own. */
  readonly platform: { readonly net: Net; readonly random: Random };
  /** The engine's block size. @unit tokens */
  readonly blockSize: number;
  /** Whether routers may ask for what they missed. */
  readonly hasIndexer: boolean;
}

/** Asks the engine for its sources. @throws {DynamoError} If it cannot tell, or they cannot be. */
export async function kvSources(engine: Engine, ranks: RankRange): Promise<readonly KvEventSource[]> {
  let sources: readonly KvEventSource[];
  try {
    sources = await engine.kvEventSources?.() ?? [];
  } catch (cause) {
    const { message } = DynamoError.from(cause);
    throw new DynamoError("EngineShutdown", `engine.kvEventSources() failed: ${message}`, { cause });
  }
  const seen = new Set<number>();
  for (const { dpRank = 0 } of sources) {
    const last = ranks.start + ranks.size - 1;
    if (dpRank < ranks.start || dpRank > last) {
      throw invalidArgument(
        `engine.kvEventSources() has a source for rank ${dpRank}, but the ranks of this worker are ${ranks.start} to ${last}`,
      );
    }
    if (seen.has(dpRank)) throw invalidArgument(`engine.kvEventSources() has two sources for rank ${dpRank}`);
    seen.add(dpRank);
  }
  return sources;
}

/** Opens a publisher for each source. Disposing what it returns ends them, so that routers forget the worker's blocks. */
export async function publishKvEvents(
  sources: readonly KvEventSource[],
  parts: KvPublishingParts,
): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const opened: { readonly source: KvEventSource; readonly publisher: RankPublisher }[] = [];
  for (const source of sources) opened.push({ source, publisher: undo.use(await openPublisher(source, parts)) });
  // Engines may publish at once, and the first event is the one that has to come back.
  await Promise.all(opened.map(({ publisher }) => publisher.selfTest.begun));
  for (const { source, publisher } of opened) undo.use(await openSource(source, publisher, parts));
  return undo.move();
}

/** What publishes the events of one rank. */
interface RankPublisher extends AsyncDisposable {
  readonly events: KvEventLog;
  readonly selfTest: SelfTest;
  send(payload: Uint8Array): void;
}

async function openPublisher({ dpRank = 0 }: KvEventSource, parts: KvPublishingParts): Promise<RankPublisher> {
  const { events, planes: { discovery }, name, hasIndexer, clock, log } = parts;
  await using undo = new AsyncDisposableStack();
  const publisher = undo.use(await events.publisher(endpointScope(name), KV_EVENTS_TOPIC));
  undo.use(await announceChannel(discovery, publisher));
  const indexer = hasIndexer ? new LocalIndexer(discovery.instanceId, dpRank) : null;
  const recovery = indexer === null ? null : undo.use(await serveRecovery(parts, indexer, publisher.id));
  undo.use(await announceSource(discovery, publisher, { name, dpRank, recovery: recovery?.instance ?? null }));
  const selfTest = undo.use(new SelfTest({ publisher, dpRank, plane: events.name, discovery, clock, log }));
  log.info("Publishing KV events", { dp_rank: dpRank, publisher: String(publisher.id), ...address(publisher) });
  const opened = undo.move();
  return {
    events: new KvEventLog(discovery.instanceId, indexer),
    selfTest,
    send(payload) {
      publisher.publish(payload);
      selfTest.published();
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Lets an engine's events in. */
async function openSource(
  source: KvEventSource,
  publisher: RankPublisher,
  parts: KvPublishingParts,
): Promise<AsyncDisposable> {
  const { platform, blockSize, metrics, name, clock, log } = parts;
  const { dpRank = 0 } = source;
  const { events } = publisher;
  const common = { dpRank, blockSize, send: (payload: Uint8Array) => publisher.send(payload) };
  const counts = metrics.kvEvents(name);
  if (source.kind === "zmq") {
    const { imageTokenId } = source;
    const image = imageTokenId === undefined ? {} : { imageTokenId };
    const world = { net: platform.net, random: platform.random, clock };
    try {
      return await openZmqSource({ ...common, ...image, source, world, events, metrics: counts, log });
    } catch (cause) {
      throw invalidArgument(`The KV event source of rank ${dpRank} cannot be opened: ${(cause as Error).message}`);
    }
  }
  await using undo = new AsyncDisposableStack();
  const push = new PushSource({ ...common, log: events, reportLeft: leftReport(log, dpRank) });
  undo.defer(() => push.close());
  try {
    await source.onReady(push);
  } catch (cause) {
    if (cause instanceof DynamoError) throw cause;
    const { message } = DynamoError.from(cause);
    throw new DynamoError("EngineShutdown", `onReady() of the KV event source of rank ${dpRank} failed: ${message}`, {
      cause,
    });
  }
  return undo.move();
}

function address({ transport }: EventPublisher): { readonly endpoint?: string } {
  return transport?.kind === "Zmq" ? { endpoint: transport.config.endpoint } : {};
}

/** Tells once that blocks are left out: an engine that gets this wrong does so all the time. */
function leftReport(log: Log, dpRank: number): (blocks: number) => void {
  let isTold = false;
  return (blocks) => {
    if (isTold) return;
    isTold = true;
    log.warn("Some stored blocks are not published: they, or one before them, are not full", {
      dp_rank: dpRank,
      blocks,
    });
  };
}
