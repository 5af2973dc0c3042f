/**
 * KV events that an engine publishes on a ZeroMQ socket, as vLLM and SGLang do.
 *
 * @module
 */
import type { KvEventSource } from "../engine/kv_source.ts";
import type { Log } from "../observe/log.ts";
import type { Clock, Net, Random } from "../platform/platform.ts";
import { encodeReplayRequest, splitEngineFrames, splitReplayFrames } from "../protocol/engine_batch.ts";
import { type DealerSocket, openDealer, openSub, parseEndpoint, type SocketEvent } from "../zmtp/mod.ts";
import { EngineFeed } from "./engine_feed.ts";
import { EngineRelay, type EngineRelayParts } from "./engine_relay.ts";

/** What a source works with. */
export interface ZmqSourceParts extends EngineRelayParts {
  /** Sockets, time and chance. */
  readonly world: { readonly net: Net; readonly clock: Clock; readonly random: Random };
  /** What the engine said. */
  readonly source: Extract<KvEventSource, { kind: "zmq" }>;
}

/**
 * Subscribes to an engine's socket: dials it, again and again, or listens if the endpoint's host is `*`. Nobody has to
 * answer yet. Batches that got lost on the way are asked for at `replayEndpoint`, and so are those from before.
 *
 * @throws {SyntaxError} If an endpoint is none.
 * @throws {Error} If it cannot be listened on.
 * @source dynamo-llm 1.6.1, KV event publisher: ZMQ listener; which takes no replays
 */
export async function openZmqSource(parts: ZmqSourceParts): Promise<AsyncDisposable> {
  const { world, source: { endpoint, topic = "", replayEndpoint }, log } = parts;
  await using undo = new AsyncDisposableStack();
  const relay = new EngineRelay(parts);
  let dealer: DealerSocket | null = null;
  const feed = new EngineFeed({
    clock: world.clock,
    take: (batch) => relay.take(batch),
    restarted: () => relay.restarted(),
    lost: (batches) => relay.lost(batches),
    ask: replayEndpoint === undefined ? null : (from) => void dealer?.send(encodeReplayRequest(from)),
    setReading: (reading) => sub.setReading(reading),
  });
  const read = (take: () => void): void => {
    try {
      take();
    } catch (error) {
      relay.unreadable(error);
    }
  };
  const sub = undo.use(openSub({
    ...world,
    topics: [topic],
    onEvent: connectionReport(log, parts.dpRank),
    onMessage: (frames) => read(() => feed.live(splitEngineFrames(frames))),
  }));
  if (parseEndpoint(endpoint).host === "*") await sub.bind(endpoint);
  else sub.connect(endpoint);
  if (replayEndpoint !== undefined) {
    dealer = undo.use(openDealer({
      ...world,
      endpoint: replayEndpoint,
      onReady: () => feed.canReplay(),
      onMessage: (frames) => read(() => feed.replayed(splitReplayFrames(frames))),
    }));
  }
  undo.defer(() => feed.close());
  return undo.move();
}

/** Tells of a connection that comes, and once of each time it is gone. */
function connectionReport(log: Log, dpRank: number): (event: SocketEvent) => void {
  let isMissed = false;
  return ({ kind, endpoint, error }) => {
    const fields = { dp_rank: dpRank, endpoint, ...(error === undefined ? {} : { error: error.message }) };
    if (kind === "connected") log.info("Connected to the engine's KV events", fields);
    else if (!isMissed) log.warn("No connection to the engine's KV events; trying again", fields);
    isMissed = kind !== "connected";
  };
}
