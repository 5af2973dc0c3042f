/**
 * An engine that publishes many blocks at once when told to: a request for seven tokens makes it publish
 * `KV_FLOOD_EVENTS` events of `KV_FLOOD_BLOCKS` blocks each, then the blocks of the request's own prompt. Every answer is
 * one token. `KV_FLOOD_MODEL` names the model. With `KV_FLOOD_KIND=removed` the events are of blocks removed, which no
 * party keeps. `KV_FLOOD_PAUSE_MS` is the pause between turns.
 *
 * @module
 */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { chunk, defineEngine, type KvEventPublisher, serve, usage } from "@stator/worker";

const {
  KV_FLOOD_MODEL: model = "",
  KV_FLOOD_EVENTS = "0",
  KV_FLOOD_BLOCKS = "16",
  KV_FLOOD_KIND,
  KV_FLOOD_PAUSE_MS = "0",
} = process.env;
const BLOCK = 16;
/** Tokens that a request asks for to set the flood off. */
const FLOOD = 7;
/** Events of a turn, which are some 1600 blocks; between turns the worker gets to everything else. */
const TURN = Math.max(1, Math.floor(1600 / Number(KV_FLOOD_BLOCKS)));
let publisher: KvEventPublisher | null = null;

function store(event: number): void {
  const tokenIds = new Uint32Array(BLOCK * Number(KV_FLOOD_BLOCKS));
  const first = 1000 + event * tokenIds.length;
  for (let i = 0; i < tokenIds.length; i++) tokenIds[i] = first + i;
  publisher!.publishStored({ tokenIds });
}

function remove(event: number): void {
  const length = Number(KV_FLOOD_BLOCKS);
  publisher!.publishRemoved(BigUint64Array.from({ length }, (_, i) => (BigInt(event) << 48n) + BigInt(i)));
}

async function flood(): Promise<void> {
  const publish = KV_FLOOD_KIND === "removed" ? remove : store;
  for (let i = 0; i < Number(KV_FLOOD_EVENTS); i++) {
    publish(i);
    if (i % TURN === 0) await setTimeout(Number(KV_FLOOD_PAUSE_MS));
  }
}

await serve(defineEngine({
  start: () =>
    Promise.resolve({
      model,
      servedModelName: model,
      contextLength: 2048,
      kvCacheBlockSize: BLOCK,
      totalKvBlocks: 1000,
    }),
  kvEventSources: () => [{ kind: "push", onReady: (given) => void (publisher = given) }],
  async *generate({ token_ids: tokenIds, stop_conditions: { max_tokens } }) {
    if (max_tokens === FLOOD) {
      await flood();
      publisher!.publishStored({ tokenIds });
    }
    yield chunk.length(usage(tokenIds.length, 1), [64]);
  },
  cleanup() {},
}));
