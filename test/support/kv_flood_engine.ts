/**
 * An engine that publishes many blocks at once when told to: a request for seven tokens makes it publish
 * `KV_FLOOD_EVENTS` events of `KV_FLOOD_BLOCKS` blocks each, then the blocks of the request's own prompt. Every answer is
 * one token. `KV_FLOOD_MODEL` names the model.
 *
 * @module
 */
import process from "node:process";
import { setImmediate } from "node:timers/promises";
import { chunk, defineEngine, type KvEventPublisher, serve, usage } from "@stator/worker";

const { KV_FLOOD_MODEL: model = "", KV_FLOOD_EVENTS = "0", KV_FLOOD_BLOCKS = "16" } = process.env;
const BLOCK = 16;
/** Tokens that a request asks for to set the flood off. */
const FLOOD = 7;
/** Events between two turns of the event loop, so that the worker goes on with everything else. */
const TURN = 20;
let publisher: KvEventPublisher | null = null;

async function flood(): Promise<void> {
  const length = BLOCK * Number(KV_FLOOD_BLOCKS);
  for (let i = 0; i < Number(KV_FLOOD_EVENTS); i++) {
    const first = 1000 + i * length;
    publisher!.publishStored({ tokenIds: Uint32Array.from({ length }, (_, j) => first + j) });
    if (i % TURN === 0) await setImmediate();
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
